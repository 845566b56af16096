"""Tasks that do what tracking and progress must follow. Only the workers of these tests know them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from celery import Task, chord, shared_task
from celery.backends.base import DisabledBackend
from celery.exceptions import Ignore, Reject
from django.utils.safestring import mark_safe

from live import progress


class Mute(Exception):
    """An error that cannot be said."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Price(float):
    """A number that JSON is not written for."""


class Unprintable:
    """A result that cannot be said."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


class BrokenBackend(DisabledBackend):
    """A result backend whose database is gone when the task has succeeded."""

    def mark_as_done(self, *args: Any, **kwargs: Any) -> None:
        """Fail as a database does."""
        raise RuntimeError("the database is gone")

    def store_result(self, *args: Any, **kwargs: Any) -> None:
        """Store nothing."""


class BrokenBackendTask(Task):
    """A task on that backend."""

    @property
    def backend(self) -> Any:
        """The broken one."""
        return BrokenBackend(app=self.app)


@shared_task(name="unit.add")
def add(x: int, y: int) -> int:
    return x + y


@shared_task(name="unit.total")
def total(numbers: list[int]) -> int:
    return sum(numbers)


@shared_task(name="unit.unseen", ignore_result=True)
def unseen() -> str:
    return str(add.delay(1, 2).id)


@shared_task(name="unit.parent", bind=True)
def parent(self: Task) -> str:
    return str(add.delay(1, 2).id)


@shared_task(name="unit.chord")
def send_chord() -> str:
    header = [add.s(1, 1).set(queue="unit"), add.s(2, 2).set(queue="unit")]
    return str(chord(header, total.s().set(queue="unit")).apply_async().id)


@shared_task(name="unit.login")
def login(user: str, password: str) -> None:
    """Take a secret by position."""


@shared_task(name="unit.login_bound", bind=True)
def login_bound(task: Task, user: str, password: str) -> None:
    """Take a secret by position behind a first parameter that is not called self."""


@shared_task(
    name="unit.login_retried", autoretry_for=(ConnectionError,), retry_kwargs={"countdown": 0.1, "max_retries": 1}
)
def login_retried(user: str, password: str) -> None:
    """Take a secret by position behind Celery's own decorator, and fail for good at the second try."""
    raise ConnectionError("the bank is closed")


@shared_task(name="unit.rejected_late", bind=True, acks_late=True)
def rejected_late(self: Task) -> str:
    """Put the message back once."""
    marker = Path(os.environ["TAT_VAR_DIR"]) / str(self.request.id)
    if not marker.exists():
        marker.touch()
        raise Reject("not now", requeue=True)
    return "now"


@shared_task(name="unit.rejected_early", acks_late=False)
def rejected_early() -> None:
    """Ask for the message to be put back that was acknowledged long ago."""
    raise Reject("not now", requeue=True)


@shared_task(name="unit.ignored")
def ignored() -> None:
    raise Ignore


@shared_task(name="unit.fail")
def fail() -> None:
    raise ValueError("\ud800 no such charge\x00")


@shared_task(name="unit.fail_mute")
def fail_mute() -> None:
    raise Mute


@shared_task(name="unit.internal_error", base=BrokenBackendTask)
def internal_error() -> str:
    for _ in progress.track(range(3), unit="steps"):
        pass
    return "in vain"


@shared_task(name="unit.odd_result", ignore_result=True)
def odd_result(kind: str) -> Any:
    """Return what JSON has no word for; nobody wants the result, so Celery does not mind."""
    return {"safe": mark_safe("<b>"), "price": Price(1.5), "unprintable": Unprintable()}[kind]


@shared_task(name="unit.update_other", bind=True)
def update_other(self: Task, other_id: str) -> None:
    """Say something of another run."""
    self.update_state(task_id=other_id, state="PROGRESS", meta={"current": 66, "total": 100})


@shared_task(name="unit.update_state", bind=True)
def update_state(self: Task, meta: Any) -> str:
    self.update_state(state="PROGRESS", meta=meta)
    return "said"


@shared_task(name="unit.bar")
def bar(steps: list[list[Any]]) -> str:
    """Do with a bar what it is told: `[["advance", 2], ["message", "reading"]]`."""
    with progress.bar(total=10, unit="rows", message="begun") as shown:
        for verb, *args in steps:
            getattr(shown, verb)(*args)
    return "done"


@shared_task(name="unit.nested")
def nested(fails: bool = False) -> str:
    """Open bars inside a bar, and one after it."""
    with progress.bar(total=2, unit="files") as files:
        for _ in range(2):
            for _ in progress.track(range(5), unit="lines"):
                time.sleep(0.02)
            files.advance()
    if fails:
        raise ValueError("after the bar")
    return "done"


@shared_task(name="unit.one_after_another")
def one_after_another() -> str:
    for unit in ("first", "second"):
        for _ in progress.track(range(3), unit=unit):
            pass
    return "done"


@shared_task(name="unit.broken_iterator")
def broken_iterator() -> None:
    def lines() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the disk is gone")

    for _ in progress.track(lines(), total=5, unit="lines"):
        pass


@shared_task(name="unit.closed_early")
def closed_early() -> str:
    """Leave the loop before its end."""
    tracked = progress.track(range(10), unit="lines")
    for number in tracked:
        if number == 3:
            break
    tracked.close()  # type: ignore[attr-defined]
    return "enough"


@shared_task(name="unit.helpers")
def helpers() -> str:
    """Advance one bar from several threads."""
    with progress.bar(total=400) as shown:
        threads = [threading.Thread(target=lambda: [shown.advance() for _ in range(100)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return "done"


@shared_task(name="unit.fast")
def fast(count: int) -> str:
    """Advance as fast as it goes, for a while."""
    with progress.bar(total=count) as shown:
        for _ in range(count):
            shown.advance()
            time.sleep(0.001)
    return "done"


@shared_task(name="unit.rate_limited", rate_limit="1/h")
def rate_limited() -> str:
    """Wait for its turn, all but the first."""
    return "done"
