"""What the journeys ask of the console: functions that run in a process of the stack, with its Redis and database.

Each takes and returns what JSON can carry, and is called by its name.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from typing import Any

import msgspec
import redis
from celery import chain, chord, group
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.utils.module_loading import import_string
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from kombu.exceptions import OperationalError

from live import events, headers, models, origin, queries, stream, topics
from tests.harness import tasks
from tests.harness.app import app

#: Canvases by name: signatures of the journeys' tasks.
CANVASES = {
    "chain": lambda: chain(tasks.add.s(1, 1), tasks.add.s(2), tasks.add.s(3)),
    "group": lambda: group(tasks.add.s(number, 1) for number in range(3)),
    "chord": lambda: chord([tasks.add.s(1, 1), tasks.add.s(2, 2)], tasks.total.s()),
    "broken chain": lambda: chain(tasks.fail.s("first"), tasks.add.s(1)),
    "broken chord": lambda: chord([tasks.add.s(1, 1), tasks.fail.s("header")], tasks.total.s()),
}


def send(
    task: str, args: list[Any] | None = None, owner: str = "", title: str = "", times: int = 1, **options: Any
) -> list[str]:
    """Send a task by name, as a view does that `owner` has asked for a page; return the ids."""
    if title:
        options["headers"] = headers(title=title)
    with _Request(owner):
        return [app.send_task(task, args or [], **options).id for _ in range(times)]


def delay(function: str, *args: Any) -> str:
    """Import a task by its dotted path and call its delay(), outside any request, as a shell does."""
    return str(import_string(function).delay(*args).id)


def send_canvas(name: str, owner: str = "") -> str:
    """Send a canvas; return the id of its result."""
    with _Request(owner):
        return str(CANVASES[name]().apply_async().id)


def revoke(run_id: str, terminate: bool = False) -> None:
    """Revoke a run; with terminate also when it runs."""
    app.control.revoke(run_id, terminate=terminate)


def kill_pool_process(run_id: str) -> None:
    """Kill the process of the pool that executes a run, as the system does when memory ends."""
    for active in app.control.inspect(timeout=1).active().values():
        for run in active:
            if run["id"] == run_id:
                os.kill(run["worker_pid"], signal.SIGKILL)
                return
    raise LookupError(f"no worker executes {run_id}")


def workers() -> list[str]:
    """Return the names of the workers that answer; none while Redis is away, or was a moment ago."""
    try:
        return [name for answer in app.control.ping(timeout=0.5) for name in answer]
    except (OperationalError, redis.ConnectionError):
        return []


def make_user(
    username: str, password: str = "", superuser: bool = False, sees_all: bool = False, role: str = ""
) -> None:
    """Make a user who may log in, with the rights of a role in billing (`billing/roles.py`)."""
    user, _ = get_user_model().objects.get_or_create(username=username)
    user.is_staff = user.is_superuser = superuser
    user.set_password(password or username)
    user.save()
    if role:
        user.groups.add(Group.objects.get(name=role))
    if sees_all:
        user.user_permissions.add(Permission.objects.get(codename="view_all_runs"))


def take_rights(username: str) -> None:
    """Take all permissions from a user."""
    get_user_model().objects.get(username=username).user_permissions.clear()


def give_rights(username: str) -> None:
    """Let a user see the runs of everybody."""
    user = get_user_model().objects.get(username=username)
    user.user_permissions.add(Permission.objects.get(codename="view_all_runs"))


def change_user(username: str, password: str = "", **fields: Any) -> None:
    """Change a user the way the admin does, by its save()."""
    user = get_user_model().objects.get(username=username)
    if password:
        user.set_password(password)
    for field, value in fields.items():
        setattr(user, field, value)
    user.save()


def delete_user(username: str) -> None:
    """Delete a user."""
    get_user_model().objects.get(username=username).delete()


def log_in(username: str) -> str:
    """Return the key of a new session of the user."""
    client = Client()
    client.force_login(get_user_model().objects.get(username=username))
    return str(client.session.session_key)


def log_out(session_key: str) -> None:
    """End a session on the server's side."""
    SessionStore(session_key).flush()


def page(username: str, limit: int = 50, **filter: Any) -> list[Any]:
    """Return the list that the user would be shown, from the database."""
    return _plain(queries.page(_viewer(username), topics.Filter.from_wire(filter), limit, 0))


def run(run_id: str) -> Any:
    """Return a run's row, whoever may see it; None when it is not recorded."""
    return _plain(queries.rows_by_id([run_id]).get(run_id))


def runs(run_ids: list[str]) -> dict[str, Any]:
    """Return the rows of these runs by id, those that are recorded."""
    return {run_id: _plain(row) for run_id, row in queries.rows_by_id(run_ids).items()}


def history(run_id: str) -> list[Any]:
    """Return every row that the log still has of a run, in the order of the log."""
    log = stream.Log()
    entries = log.read(0, 100_000)
    log.close()
    return [_plain(row) for entry in entries for row in events.decode_rows(entry.rows) if row.id == run_id]


def merged_log() -> dict[str, Any]:
    """Return each run that the log knows as its rows, merged, say it is."""
    log = stream.Log()
    entries = log.read(0, 100_000)
    log.close()
    rows = [row for entry in entries for row in events.decode_rows(entry.rows)]
    return {run_id: _plain(row) for run_id, row in events.merge_all(rows).items()}


def attempts(run_id: str) -> list[Any]:
    """Return the attempts of a run."""
    run = models.Run.objects.get(id=run_id)
    return [_plain(queries.to_attempt_row(attempt)) for attempt in run.attempts.all()]


def states(**filter: Any) -> dict[str, int]:
    """Count all recorded runs by state."""
    return dict(Counter(models.Run.objects.filter(**filter).values_list("state", flat=True)))


def position() -> int:
    """Return the seq up to which the log is recorded."""
    return queries.position()[1]


def schedule(name: str) -> dict[str, Any]:
    """Return what the database holds of a schedule."""
    return dict(PeriodicTask.objects.filter(name=name).values("name", "task", "args", "enabled", "total_run_count")[0])


def set_schedule(name: str, **fields: Any) -> None:
    """Change a schedule the way the admin does, by its save()."""
    found = PeriodicTask.objects.get(name=name)
    for field, value in fields.items():
        setattr(found, field, value)
    found.save()


def add_schedule(name: str, task: str, args: list[Any]) -> None:
    """Add a schedule that is due every second."""
    every_second, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    values = {"task": task, "args": json.dumps(args), "interval": every_second}
    PeriodicTask.objects.update_or_create(name=name, defaults=values)


def head() -> int:
    """Return the last seq of the log."""
    log = stream.Log()
    found = log.head().seq
    log.close()
    return found


def results(run_id: str) -> str:
    """Return the state that django-celery-results holds."""
    return str(app.AsyncResult(run_id).state)


def query(sql: str) -> list[list[Any]]:
    """Ask the database."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [list(record) for record in cursor.fetchall()]


class _Request:
    """Inside it a request of the user is being served."""

    def __init__(self, owner: str) -> None:
        self.request = HttpRequest()
        self.request.user = get_user_model().objects.get(username=owner) if owner else None  # type: ignore[assignment]
        self.owner = owner

    def __enter__(self) -> None:
        self.token = origin.current_request.set(self.request if self.owner else None)

    def __exit__(self, *error: object) -> None:
        origin.current_request.reset(self.token)


def _viewer(username: str) -> queries.Viewer:
    return queries.Viewer.of(get_user_model().objects.get(username=username))


def _plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))
