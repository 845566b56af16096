"""The run that a thread executes, kept on Celery's own request of it, so that nothing has to be cleaned up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from live import events

_ROW = "live_row"
_PROGRESS = "live_progress"
_last_moment = 0
_last = threading.local()


def moment() -> int:
    """Return microseconds since 1970, growing with every call in a thread: what makes a version."""
    global _last_moment
    now = time.time_ns() // 1_000
    _last_moment = now if now > _last_moment else _last_moment + 1
    return _last_moment


def to_time(microseconds: int) -> datetime:
    """Return a moment as an aware time."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def begin(request: Any, row: events.Row) -> None:
    """Remember the row of a run whose execution begins; `request` is the task's `request`."""
    setattr(request, _ROW, row)
    _last.row = row


def last_row() -> events.Row | None:
    """Return the row that this thread's last `begin` remembered; the execution may be over."""
    return getattr(_last, "row", None)


def row_of(request: Any) -> events.Row | None:
    """Return the row that `begin` remembered, or None outside of an execution."""
    return getattr(request, _ROW, None)


def follow(request: Any, progress: Callable[[], events.Progress | None]) -> None:
    """Remember whom to ask for the run's newest progress."""
    setattr(request, _PROGRESS, progress)


def followed(request: Any) -> Callable[[], events.Progress | None] | None:
    """Return who is asked for the run's newest progress."""
    return getattr(request, _PROGRESS, None)


def progress_of(request: Any) -> events.Progress | None:
    """Return the run's newest progress, or None when it has none."""
    ask = followed(request)
    return ask() if ask is not None else None
