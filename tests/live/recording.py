"""What the tests of the recorder do: tell a run's life, record it, and ask what the database knows then."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from live import events, queries
from live.models import Attempt, Run
from live.recorder import Recorder
from tests.live.rows import NOON, make_row

Facts = tuple[dict[str, events.Row], list[Any]]


@contextmanager
def running() -> Iterator[Recorder]:
    """A recorder that runs in a thread of its own."""
    recorder, stop = Recorder(), threading.Event()
    thread = threading.Thread(target=recorder.run, args=[stop])
    thread.start()
    try:
        yield recorder
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def record_all(recorder: Recorder) -> None:
    """Let the recorder step until nothing is left."""
    while recorder.step():
        pass


def facts() -> Facts:
    """What the database knows of runs and attempts."""
    runs = {run.id: queries.to_row(run) for run in Run.objects.all()}
    fields = ("run_id", "number", "state", "worker", "started_at", "finished_at", "error")
    return runs, list(Attempt.objects.order_by("run_id", "number").values(*fields))


def failure(text: str) -> events.Error:
    """What a try failed with."""
    return events.Error("ValueError", text)


def life(run_id: str, tries: int = 2, end: str = "succeeded", worker: str = "celery@here") -> list[events.Row]:
    """Every row of a run in its order: each try but the last is retried, each with an error of its own."""
    first = {"worker": worker, "phase": 0}
    told = [make_row(run_id, "queued", moment=1), make_row(run_id, "received", moment=2, **first)]
    for attempt in range(1, tries + 1):
        now = {"attempt": attempt, "worker": f"{worker}-{attempt}", "started_at": NOON}
        told.append(make_row(run_id, "running", moment=10, **now))
        progress = events.Progress(current=attempt, total=9, at=11)
        told.append(make_row(run_id, "running", moment=11, progress=progress, **now))
        state = end if attempt == tries else "retrying"
        error = failure(f"try {attempt} of {run_id}") if state in ("retrying", "failed") else None
        told.append(make_row(run_id, state, moment=12, error=error, finished_at=NOON, **now))
    return told


def told_exactly(row: events.Row) -> events.Row:
    """Make of a row one that every database keeps to the last digit; PostgreSQL rounds a float above 2**53 in JSON."""
    progress = row.progress
    if progress is not None and max(abs(progress.current), abs(progress.total or 0)) > 2**53:
        progress = replace(progress, current=0, total=None)
    return replace(row, progress=progress, queued_at=row.queued_at or NOON)
