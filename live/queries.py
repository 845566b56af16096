"""Read side: what the database knows of runs, as rows, for one viewer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db import connection, transaction
from django.db.models import Count, Func, Q, QuerySet, TextField

from live import events, topics
from live.models import Attempt, LogPosition, Run

#: The fields of a row that a Run has under the same name.
PLAIN_FIELDS = tuple(name for name in events.Row.__struct_fields__ if name not in ("version", "progress", "error"))

#: Values in one query at most; SQLite takes 32,766 variables.
_MAX_IDS = 1_000
#: Tries of one run that are shown, the last ones: a run may be retried for ever.
MAX_ATTEMPTS = 50


class Viewer(msgspec.Struct, frozen=True):
    """Who looks: they see their own runs, or everybody's with the permission `live.view_all_runs`."""

    username: str
    sees_all: bool

    @classmethod
    def of(cls, user: AbstractUser | AnonymousUser) -> Viewer:
        """Ask the user's rights, which may query the database."""
        if not user.is_authenticated:
            return cls(username="", sees_all=False)
        return cls(username=user.get_username(), sees_all=user.has_perm("live.view_all_runs"))

    def may_see(self, row: events.Row) -> bool:
        """Whether the row may leave the server for this viewer; `visible` says the same in SQL."""
        return self.sees_all or (bool(self.username) and row.owner == self.username)


class AttemptRow(msgspec.Struct, frozen=True):
    """One try of a run, as the wire and the pages show it."""

    number: int
    state: str
    worker: str
    started_at: datetime | None
    finished_at: datetime | None
    error: events.Error | None


class Fold(Func):
    """What `topics.fold` does, in SQL. SQLite's UPPER knows A to Z only; PostgreSQL's does so when told."""

    function = "UPPER"
    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        """Called by Django on PostgreSQL."""
        return self.as_sql(compiler, connection, template='UPPER(%(expressions)s COLLATE "C")', **extra)


def visible(viewer: Viewer) -> QuerySet[Run]:
    """Return the runs that the viewer may see."""
    if viewer.sees_all:
        return Run.objects.all()
    return Run.objects.filter(owner=viewer.username) if viewer.username else Run.objects.none()


def page(viewer: Viewer, filter: topics.Filter, limit: int, offset: int = 0) -> list[events.Row]:
    """Return one page of a list, newest first."""
    runs = _scoped(visible(viewer), filter)
    if filter.state:
        runs = runs.filter(state__in=filter.state)
    return [to_row(run) for run in runs.order_by("-queued_at", "id")[offset : offset + limit]]


def counts(viewer: Viewer, filter: topics.Filter) -> dict[str, int]:
    """Count the list's runs by state, without the filter's own state, so that tabs can show numbers."""
    found = _scoped(visible(viewer), filter).order_by().values_list("state").annotate(Count("id"))
    return {**dict.fromkeys(events.STATES, 0), **dict(found)}


def run(viewer: Viewer, run_id: str) -> events.Row | None:
    """Return one run, or None when there is none or it is not the viewer's to see."""
    found = visible(viewer).filter(id=run_id).first()
    return to_row(found) if found else None


def attempts(viewer: Viewer, run_id: str) -> list[AttemptRow]:
    """Return the last tries of one run in their order; none when it is not the viewer's to see."""
    found = Attempt.objects.filter(run__in=visible(viewer).filter(id=run_id)).order_by("-number")[:MAX_ATTEMPTS]
    return [to_attempt_row(attempt) for attempt in reversed(found)]


def rows_by_id(run_ids: Iterable[str]) -> dict[str, events.Row]:
    """Return the stored rows of these runs, whoever may see them."""
    ids, found = list(run_ids), {}
    for start in range(0, len(ids), _MAX_IDS):
        runs = Run.objects.filter(id__in=ids[start : start + _MAX_IDS])
        found.update({run.id: to_row(run) for run in runs})
    return found


def position() -> tuple[str, int]:
    """Return the epoch and seq up to which the log is recorded; ("", 0) before the first."""
    found = LogPosition.objects.filter(id=1).values_list("epoch", "seq").first()
    return found or ("", 0)


def to_row(run: Run) -> events.Row:
    """Read a stored run as the row it was."""
    values: dict[str, Any] = {name: getattr(run, name) for name in PLAIN_FIELDS}
    return events.Row(
        **values,
        progress=msgspec.convert(run.progress, events.Progress) if run.progress else None,
        error=msgspec.convert(run.error, events.Error) if run.error else None,
        version=events.Version(run.version_attempt, run.version_phase, run.version_moment),
    )


def attempt_after(known: AttemptRow | None, row: events.Row, run: events.Row) -> AttemptRow:
    """Return how a try stands, given what was known of it, one more of its rows, and the run as it is now.

    The last try stands as the run does. An earlier one keeps its end, as its last rows may come after the next try's.
    """
    if row.attempt == run.attempt:
        row = run
    elif known is not None and (known.state in events.FINAL or _standing(known.state) > _standing(row.state)):
        return known
    return AttemptRow(row.attempt, row.state, row.worker, row.started_at, row.finished_at, row.error)


_STANDING = dict.fromkeys(events.STATES, 0) | {
    events.State.LOST: 1,
    events.State.RETRYING: 2,
    **dict.fromkeys(events.FINAL, 3),
}


def _standing(state: str) -> int:
    return _STANDING.get(state, -1)  # a newer worker may know more states than this process


def to_attempt_row(attempt: Attempt) -> AttemptRow:
    """Read a stored attempt as the wire shows it."""
    return AttemptRow(
        number=attempt.number,
        state=attempt.state,
        worker=attempt.worker,
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        error=msgspec.convert(attempt.error, events.Error) if attempt.error else None,
    )


def _scoped(runs: QuerySet[Run], filter: topics.Filter) -> QuerySet[Run]:
    exact = {name: getattr(filter, name) for name in topics.EXACT_FIELDS if getattr(filter, name)}
    runs = runs.filter(**exact)
    if filter.q:
        wanted = topics.fold(filter.q)
        runs = runs.alias(found_title=Fold("title"), found_task=Fold("task"), found_id=Fold("id")).filter(
            Q(found_title__contains=wanted) | Q(found_task__contains=wanted) | Q(found_id__contains=wanted)
        )
    return runs


class Reading(msgspec.Struct, frozen=True):
    """What the database said about a topic, all as of one moment."""

    #: The epoch and seq up to which all of it is recorded.
    position: tuple[str, int]
    rows: list[events.Row]
    counts: dict[str, int] = {}
    attempts: list[AttemptRow] = []
    #: The stored rows of the runs that were asked for beside the list.
    stored: dict[str, events.Row] = {}


def read_list(viewer: Viewer, filter: topics.Filter, limit: int, also: Iterable[str]) -> Reading:
    """Read a list, its counts and the stored rows of other runs, as of one moment."""
    with as_of_one_moment():
        return Reading(position(), page(viewer, filter, limit), counts(viewer, filter), stored=rows_by_id(also))


def read_run(viewer: Viewer, run_id: str) -> Reading:
    """Read one run with its attempts, as of one moment."""
    with as_of_one_moment():
        found = run(viewer, run_id)
        return Reading(position(), [found] if found else [], attempts=attempts(viewer, run_id))


@contextmanager
def as_of_one_moment() -> Iterator[None]:
    """Let all queries inside see one state of the database, without taking a lock that a writer would wait for."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            # `atomic` would begin IMMEDIATE and wait for the recorder.
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("COMMIT")
    else:
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
