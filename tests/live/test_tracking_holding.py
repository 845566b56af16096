"""What a worker says that it holds, and what a run is called that is cut or waits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from celery import current_app
from celery.worker import state

from live import events, stream, tracking
from tests.harness.processes import Process
from tests.harness.wait import until
from tests.live import tasks
from tests.live.workers import history, wait_for

NOBODY = "nobody-takes-this-at-all"


class Request(SimpleNamespace):
    """What Celery's worker makes of a message, as far as it is asked here."""

    id: str
    time_start: float | None = None


def test_a_run_that_waits_under_a_rate_limit_is_held(worker: Process) -> None:
    run_ids = [str(tasks.rate_limited.apply_async(queue="unit").id) for _ in range(2)]
    for run_id in run_ids:
        wait_for(run_id, "received", "running", "succeeded")
    log = stream.Log()

    def waiting() -> list[str]:
        beat = log.heartbeats().get("unit@here")
        held = beat.holding.ids if beat and beat.holding else []
        # As merged: the sender's `queued` may be the last to arrive.
        return [id_ for id_ in run_ids if id_ in held and events.merge_all(history(id_))[id_].state == "received"]

    assert len(until(waiting, "the worker to say that it holds the run that waits")) == 1
    log.close()


def test_a_run_that_began_is_held_as_long_as_celery_holds_it(monkeypatch: Any) -> None:
    waits, began, held_by_celery = Request(id="waits"), Request(id="began", time_start=1.0), Request(id="celery")
    for request in (waits, began):
        monkeypatch.setitem(tracking._held, request.id, request)
    monkeypatch.setitem(state.requests, "celery", held_by_celery)

    holding = tracking._holding()

    assert holding and sorted(holding.ids) == ["celery", "waits"]


def test_two_long_ids_with_the_same_beginning_are_two_runs() -> None:
    ids = ["x" * 300 + end for end in "ab"]
    for run_id in ids:
        current_app.send_task("unit.add", (1, 2), task_id=run_id, queue=NOBODY)

    for run_id in ids:
        assert wait_for(run_id, "queued").id == run_id
