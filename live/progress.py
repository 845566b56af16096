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

_UNIT_CHARS = 50
_MESSAGE_CHARS = 255
#: Every number below it is told exactly in 64 bits.
_TOO_MUCH = 2**63


class Bar:
    """How far the current run has come; a context manager, made by `bar`.

    A call costs about a microsecond: rows are made by the publish thread when they are sent, at most
    LIVE_PROGRESS_PER_S a second. The last state always goes, with the run's end at the latest. While a bar is open
    inside another one, the inner is shown.
    """

    def __init__(self, total: float | None = None, unit: str = "", message: str = "") -> None:
        self.current: float = 0
        self.total = _number(total)
        self.unit = texts.say(unit, _UNIT_CHARS)
        self._message = texts.say(message, _MESSAGE_CHARS)
        self._request: Any = None
        self._outer: Bar | None = None
        self._is_open = False

    def __enter__(self) -> Bar:
        request = current_task.request if current_task else None
        if request is not None and current.row_of(request) is not None:
            # `current_task.request` is a proxy to the top of a stack: hold the request of this very run.
            self._request = current_task._get_current_object().request_stack.top
            outer = getattr(current.followed(self._request), "__self__", None)
            self._outer = outer if isinstance(outer, Bar) and outer._is_open else None
            current.follow(self._request, self.snapshot)
        self._is_open = True
        self._announce()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False
        if self._outer is not None:
            current.follow(self._request, self._outer.snapshot)
        self._announce()

    def advance(self, count: float = 1) -> None:
        """Say that so much more is done."""
        self.current += count
        self._announce()

    def set(self, current: float, total: float | None = None) -> None:
        """Say how much is done and, if it is given, how much there is to do."""
        self.current = current
        self.total = self.total if total is None else _number(total)
        self._announce()

    def message(self, text: str) -> None:
        """Say in words what is being done."""
        self._message = texts.say(text, _MESSAGE_CHARS)
        self._announce()

    def snapshot(self) -> events.Progress:
        """Return the progress as a row carries it; called by the publish thread and at the end of the run."""
        return events.Progress(_number(self.current) or 0, self.total, self.unit, self._message, current.moment())

    def _announce(self) -> None:
        if self._request is not None:
            _announce(self._request)


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
            _note_meta(request, meta)
        return answer

    update_state.announces_progress = True  # type: ignore[attr-defined]
    Task.update_state = update_state


def _note_meta(request: Any, meta: dict[str, Any]) -> None:
    done = _number(meta.get("current"))
    text = meta.get("message") or meta.get("description") or meta.get("status") or ""
    if done is None and not text:
        return
    said = events.Progress(
        done or 0,
        _number(meta.get("total")),
        texts.say(meta.get("unit") or "", _UNIT_CHARS),
        texts.say(text, _MESSAGE_CHARS),
        current.moment(),
    )
    current.follow(request, lambda: said)
    _announce(request)


def _announce(request: Any) -> None:
    """Tell the publish thread that the run has news; it asks for the row when it sends."""
    row = current.row_of(request)
    if row is not None:
        # The version stays: merging takes the newest progress by its own clock, so one sent late never undoes an end.
        publish.publisher().offer(row.id, lambda: replace(row, progress=current.progress_of(request)))


def _number(value: Any) -> float | int | None:
    """Return a finite number that the wire can carry, or None for anything else."""
    if value is None or isinstance(value, bool | str):
        return None
    try:
        number = int(value) if isinstance(value, int) else float(value)
        return number if math.isfinite(number) and abs(number) < _TOO_MUCH else None
    except (TypeError, ValueError, OverflowError):
        return None
