"""Write side: what a task says of how far it has come. Outside a worker all of it does nothing.

for line in progress.track(lines, unit="lines"): …

with progress.bar(total=3, unit="steps") as bar:
    bar.message("reading")
    bar.advance()
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sized
from functools import wraps
from typing import Any, TypeVar

from celery import current_task
from celery.app.task import Task
from msgspec.structs import replace

from live import current, events, publish, texts

T = TypeVar("T")


class Bar:
    """How far the current run has come; a context manager, made by `bar`.

    A call costs well under a microsecond: rows are made by the publish thread when they are sent, at most
    LIVE_PROGRESS_PER_S a second. The last state always goes, with the run's end at the latest.
    """

    def __init__(self, total: float | None = None, unit: str = "", message: str = "") -> None:
        self.current: float = 0
        self.total = _number(total)
        self.unit = texts.cut(unit, 50)
        self._message = texts.cut(message, 255)
        self._request: Any = None

    def __enter__(self) -> Bar:
        request = current_task.request if current_task else None
        if request is not None and current.row_of(request) is not None:
            # `current_task.request` is a proxy to the top of a stack: hold the request of this very run.
            self._request = current_task._get_current_object().request_stack.top
            current.follow(self._request, self.snapshot)
        self._announce()
        return self

    def __exit__(self, *_: object) -> None:
        self._announce()

    def advance(self, count: float = 1) -> None:
        """Say that so much more is done."""
        self.current += count
        self._announce()

    def set(self, current: float, total: float | None = None) -> None:
        """Say how much is done and, if it is given, how much there is to do."""
        self.current = _number(current) or 0
        self.total = self.total if total is None else _number(total)
        self._announce()

    def message(self, text: str) -> None:
        """Say in words what is being done."""
        self._message = texts.cut(text, 255)
        self._announce()

    def snapshot(self) -> events.Progress:
        """Return the progress as a row carries it; called by the publish thread and at the end of the run."""
        return events.Progress(self.current, self.total, self.unit, self._message, current.moment())

    def _announce(self) -> None:
        if self._request is not None:
            announce(self._request, self)

    def row(self) -> events.Row:
        """Return the run's row with the newest progress; called by the publish thread when it sends."""
        return _with_progress(self._request, self.snapshot())


def announce(request: Any, bar: Bar) -> None:
    """Hand the bar to the publish thread, unless it waits there already."""
    row = current.row_of(request)
    if row is not None:
        publish.publisher().offer(row.id, bar.row)


def bar(total: float | None = None, unit: str = "", message: str = "") -> Bar:
    """Return a context manager for work in steps; a `total` of None means that nobody knows it."""
    return Bar(total, unit, message)


def track(items: Iterable[T], total: float | None = None, unit: str = "", message: str = "") -> Iterator[T]:
    """Yield the items and say after each that it is done; the total is their `len`, where they have one."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Bar(total, unit, message) as counted:
        for item in items:
            yield item
            counted.advance()


def connect() -> None:
    """Make `self.update_state(state="PROGRESS", meta={…})` of existing tasks count; called once by `ready`.

    Celery has no signal for it, so its method is wrapped; what it did before it still does.
    """
    stock = Task.update_state
    if getattr(stock, "announces_progress", False):
        return

    @wraps(stock)
    def update_state(
        self: Any, task_id: str | None = None, state: str | None = None, meta: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        answer = stock(self, task_id, state, meta, *args, **kwargs)
        request = self.request_stack.top
        begun = current.row_of(request) if request is not None else None
        if begun is not None and task_id in (None, begun.id) and isinstance(meta, dict):
            _note_meta(request, begun.id, meta)
        return answer

    update_state.announces_progress = True  # type: ignore[attr-defined]
    Task.update_state = update_state


def _note_meta(request: Any, run_id: str, meta: dict[str, Any]) -> None:
    done = _number(meta.get("current"))
    text = meta.get("message") or meta.get("description") or meta.get("status") or ""
    if done is None and not text:
        return
    unit = str(meta.get("unit") or "")[:50]
    said = events.Progress(
        done or 0, _number(meta.get("total")), texts.clean(unit), texts.cut(str(text), 255), current.moment()
    )
    current.follow(request, lambda: said)
    publish.publisher().offer(run_id, lambda: _with_progress(request, said))


def _with_progress(request: Any, said: events.Progress) -> events.Row:
    row = current.row_of(request)
    assert row is not None
    # The version stays: merging takes the newest progress by its own clock, so one sent late never undoes an end.
    return replace(row, progress=said)


def _number(value: Any) -> float | int | None:
    """Return a finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None
