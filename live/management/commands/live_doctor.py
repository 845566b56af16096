"""`manage.py live_doctor`: talks to the real parts and says in one line each what works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import celery
from celery.schedules import maybe_schedule
from channels.layers import get_channel_layer
from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connections, router
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from live import conf, events, queries, stream
from live.management import socket_probe
from live.models import Run

WAIT_S = 5.0
LATE_S = 60.0
_GROUP = "live-doctor"


class Unwell(Exception):
    """A part does not do what it should; the message says what it does instead."""


class Command(BaseCommand):
    """Asks each part something that only a part that works can answer; every wait has a limit."""

    help = "Talk to Redis, the channel layer, the database, recorder, workers and beat, and say what works."

    def add_arguments(self, parser: CommandParser) -> None:
        """The web server, and whose session to use."""
        parser.add_argument("--url", help="also open a WebSocket there, for instance http://127.0.0.1:8000")
        parser.add_argument("--user", default="", help="open it as this user and ask for the list of runs")

    def handle(self, *args: Any, url: str | None = None, user: str = "", **options: Any) -> None:
        """Ask all parts, also after one has failed."""
        parts: dict[str, Callable[[], str]] = {
            "Redis": ask_redis,
            "Channel layer": ask_channel_layer,
            "Database": ask_database,
            "Recorder": ask_recorder,
            "Workers": ask_workers,
            "Beat": ask_beat,
        }
        if url:
            parts["Web server"] = lambda: socket_probe.ask(url, user)
        unwell = [name for name, ask in parts.items() if not self._works(name, ask)]
        if not url:
            self.stdout.write("--   Web server: not asked; say where it is, for instance --url http://127.0.0.1:8000.")
        if unwell:
            raise CommandError(f"{len(unwell)} of {len(parts)} parts do not work: {', '.join(unwell)}.")

    def _works(self, name: str, ask: Callable[[], str]) -> bool:
        try:
            found, works = ask(), True
        except (Unwell, socket_probe.Refused) as error:
            found, works = str(error), False
        except (*stream.Unavailable, stream.RedisTooOld, DatabaseError, TimeoutError) as error:
            found, works = f"{type(error).__name__}: {error}".strip().splitlines()[0], False
        mark = self.style.SUCCESS("ok  ") if works else self.style.ERROR("FAIL")
        self.stdout.write(f"{mark} {name}: {found}")
        return works


def ask_redis() -> str:
    """Redis answers, is new enough, and has a log."""
    parts = urlsplit(stream.redis_url())
    where = f"{parts.hostname or parts.path}{f':{parts.port}' if parts.port else ''}"
    log = stream.Log()
    try:
        begun = time.perf_counter()
        head = log.head()
        took_ms = (time.perf_counter() - begun) * 1000
        info: Any = log.redis.info("server")
        name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
    finally:
        log.close()
    return f"{name} at {where} answers in {took_ms:.1f} ms; the log's epoch is {head.epoch}, its head {head.seq}."


def ask_channel_layer() -> str:
    """A message to a group comes back."""
    return asyncio.run(_go_round())


async def _go_round() -> str:
    layer = get_channel_layer(conf.live.CHANNEL_LAYER)
    if layer is None:
        raise Unwell(f"There is none called {conf.live.CHANNEL_LAYER!r}; pages hear of changes seconds late.")
    name = type(layer).__name__
    try:
        async with asyncio.timeout(WAIT_S):
            channel = await layer.new_channel()
            await layer.group_add(_GROUP, channel)
            for _ in range(2):  # the first one waits until the layer has begun to listen
                begun = time.perf_counter()
                await layer.group_send(_GROUP, {"type": "live.doctor"})
                await layer.receive(channel)
                took_ms = (time.perf_counter() - begun) * 1000
            await layer.group_discard(_GROUP, channel)
    except TimeoutError as error:
        raise Unwell(f"{name}: no message came back within {WAIT_S:g} s.") from error
    return f"{name}: a message comes back in {took_ms:.1f} ms."


def ask_database() -> str:
    """The database answers and has our tables as they should be."""
    connection = connections[router.db_for_read(Run) or "default"]
    executor = MigrationExecutor(connection)
    wanted = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "live"]
    missing = executor.migration_plan(wanted)
    if missing:
        raise Unwell(f"{len(missing)} migrations of live are missing: run `manage.py migrate`.")
    return f"{connection.display_name} answers and is migrated; {Run.objects.count():,} runs are recorded."


def ask_recorder() -> str:
    """What is in the log reaches the database."""
    log = stream.Log()
    try:
        head = log.head()
    finally:
        log.close()
    deadline = time.monotonic() + WAIT_S
    while (position := queries.position()) != head and not _is_past(position, head):
        if time.monotonic() > deadline:
            raise Unwell(
                f"Entry {head.seq} was not recorded within {WAIT_S:g} s; the database is at {position[1]}. "
                "Does a web server or `manage.py live_recorder` run?"
            )
        time.sleep(0.05)
    return f"All entries up to {head.seq} are recorded."


def _is_past(position: tuple[str, int], head: stream.Head) -> bool:
    return head.seq == 0 or (position[0] == head.epoch and position[1] >= head.seq)


def ask_workers() -> str:
    """Workers give signs of life."""
    log = stream.Log()
    try:
        beats = log.heartbeats()
    finally:
        log.close()
    alive = sorted(name for name, beat in beats.items() if beat.age_s <= conf.live.WORKER_GONE_S)
    if not alive:
        raise Unwell(f"No worker gave a sign of life in the last {conf.live.WORKER_GONE_S:g} s.")
    return f"{len(alive)} alive: {', '.join(alive)}."


def ask_beat() -> str:
    """No schedule is late."""
    last_by_name = _schedules()
    if not last_by_name:
        return "Nothing is scheduled."
    now = datetime.now(UTC)
    late = [name for name, due in last_by_name.items() if due < now - timedelta(seconds=LATE_S)]
    if late:
        raise Unwell(f"{len(late)} of {len(last_by_name)} schedules are late, {late[0]!r} for one. Does beat run?")
    return f"{len(last_by_name)} schedules, none late."


def _schedules() -> dict[str, datetime]:
    """Return when each enabled schedule should be sent next."""
    newest = _newest_scheduled_runs()
    if apps.is_installed("django_celery_beat"):
        entries = apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(enabled=True)
        known = {
            entry.name: (
                entry.schedule,
                max(filter(None, (entry.last_run_at, newest.get(entry.name), entry.date_changed))),
            )
            for entry in entries
        }
    else:
        schedule = celery.current_app.conf.beat_schedule or {}
        runs = {name: newest.get(name) or newest.get(entry["task"]) for name, entry in schedule.items()}
        known = {
            name: (maybe_schedule(entry["schedule"]), last)
            for name, entry in schedule.items()
            if (last := runs[name]) is not None
        }
    now = timezone.now()
    return {name: now + schedule.remaining_estimate(last) for name, (schedule, last) in known.items()}


def _newest_scheduled_runs() -> dict[str, datetime]:
    """Return when each schedule, and each task, was last sent by beat."""
    newest: dict[str, datetime] = {}
    runs = Run.objects.filter(kind=events.Kind.SCHEDULED, queued_at__gt=timezone.now() - timedelta(days=1))
    for schedule, task, queued_at in runs.order_by("queued_at").values_list("schedule", "task", "queued_at"):
        newest[schedule or task] = newest[task] = queued_at
    return newest
