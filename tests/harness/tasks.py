"""Tasks of every kind that Celery has, which do as the journey says. Only the journeys' workers know them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery import Task, chain, group, shared_task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

from live import progress
from tests.harness.gates import Gates

OVERRUN_S = 60
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"\'`{{7*7}}{% now %}\u202e\x00'


def _gates() -> Gates:
    return Gates(Path(os.environ["TAT_VAR_DIR"]) / "gates")


@shared_task(name="journey.add")
def add(x: int, y: int) -> int:
    """Succeed at once."""
    return x + y


@shared_task(name="journey.steps")
def steps(gate: str, total: int = 4) -> str:
    """Move a bar by one at each of the gates `<gate>.1`, `<gate>.2`, …"""
    with progress.bar(total=total, unit="steps", message="begun") as bar:
        for number in range(1, total + 1):
            _gates().pass_through(f"{gate}.{number}")
            bar.advance(1)
            bar.message(f"step {number} done")
    return f"{total} steps"


@shared_task(name="journey.busy")
def busy(gate: str, steps: int, step_s: float) -> str:
    """Move a bar at a steady pace, waiting for nobody."""
    _gates().note(f"{gate}.begun")
    for _ in progress.track(range(steps), unit="steps"):
        time.sleep(step_s)
    _gates().note(f"{gate}.done")
    return "done"


@shared_task(name="journey.wait")
def wait(gate: str) -> str:
    """Wait at one gate."""
    _gates().pass_through(gate)
    return "through"


@shared_task(name="journey.wait_late", acks_late=True)
def wait_late(gate: str) -> str:
    """Wait at one gate, acknowledged late: a killed worker's run comes back."""
    _gates().pass_through(gate)
    return "through"


@shared_task(name="journey.wait_requeued", acks_late=True, reject_on_worker_lost=True)
def wait_requeued(gate: str) -> str:
    """Wait at one gate; when the pool's process is killed, the message goes back to the queue."""
    _gates().pass_through(gate)
    return "through"


@shared_task(name="journey.fail")
def fail(text: str = "no such charge") -> None:
    """Fail with the text."""
    raise ValueError(text)


@shared_task(name="journey.hostile")
def hostile(text: str, fails: bool = False) -> str:
    """Return, or fail with, a text that would like to be a page."""
    with progress.bar(total=1, unit=text, message=text) as bar:
        bar.advance(1)
    if fails:
        raise ValueError(text)
    return text


@shared_task(name="journey.retry", bind=True, max_retries=5)
def retry(self: Task, failures: int = 1, gate: str = "") -> str:
    """Fail that many times, each time asking for another try, then succeed."""
    if gate:
        _gates().pass_through(f"{gate}.{self.request.retries + 1}")
    if self.request.retries < failures:
        raise self.retry(exc=ConnectionError("the bank is closed"), countdown=0.2)
    return f"after {self.request.retries} retries"


@shared_task(name="journey.give_up", bind=True, max_retries=1)
def give_up(self: Task) -> None:
    """Ask for one try more than there is."""
    raise self.retry(exc=ConnectionError("the bank is closed for good"), countdown=0.1)


@shared_task(name="journey.ignore")
def ignore() -> None:
    """Say that no state is to be stored."""
    raise Ignore


@shared_task(name="journey.reject", acks_late=True)
def reject() -> None:
    """Throw the message away."""
    raise Reject("not for us", requeue=False)


@shared_task(name="journey.overrun", soft_time_limit=1, time_limit=2)
def overrun() -> None:
    """Hear the soft time limit, go on, and run into the hard one."""
    try:
        time.sleep(OVERRUN_S)
    except SoftTimeLimitExceeded:
        time.sleep(OVERRUN_S)


@shared_task(name="journey.overrun_soft", soft_time_limit=1)
def overrun_soft() -> None:
    """Run into the soft time limit."""
    time.sleep(OVERRUN_S)


@shared_task(name="journey.unserialisable")
def unserialisable() -> object:
    """Return what JSON has no word for."""
    return object()


@shared_task(name="journey.not_a_number")
def not_a_number() -> float:
    """Return what Python's JSON writes and the standard does not know."""
    return float("nan")


@shared_task(name="journey.exits")
def exits() -> None:
    """End the pool's process from inside."""
    os._exit(3)


@shared_task(name="journey.update_state", bind=True)
def update_state(self: Task, gate: str, total: int = 3) -> str:
    """Report progress as existing code does, knowing nothing of `live`."""
    for number in range(1, total + 1):
        self.update_state(state="PROGRESS", meta={"current": number, "total": total})
        _gates().pass_through(f"{gate}.{number}")
    return "reported"


@shared_task(name="journey.children", bind=True)
def children(self: Task, count: int = 2) -> list[str]:
    """Send other tasks from inside this one, and return their ids."""
    return [add.delay(number, number).id for number in range(count)]


@shared_task(name="journey.replaced", bind=True)
def replaced(self: Task) -> Any:
    """Put a chain in its own place."""
    return self.replace(chain(add.s(1, 2), add.s(3)))


@shared_task(name="journey.replaced_slowly", bind=True)
def replaced_slowly(self: Task, gate: str) -> Any:
    """Put a chain in its own place whose first task waits at a gate, and whose second fails."""
    return self.replace(chain(wait.si(gate), fail.si("in its place"), add.si(1, 1)))


@shared_task(name="journey.pause")
def pause(seconds: float) -> None:
    """Take so long."""
    time.sleep(seconds)


@shared_task(name="journey.total")
def total(numbers: list[int]) -> int:
    """Add up what a group has brought: the body of a chord."""
    return sum(numbers)


@shared_task(name="journey.chunk")
def chunk(count: int) -> Any:
    """Send a group from inside a task."""
    return group(add.s(number, 1) for number in range(count)).apply_async().id
