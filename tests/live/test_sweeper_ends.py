"""What the result backend knows: it is asked before a run is lost, waited for while it fails, and bounds no look."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import current_app

from live import events, publish, stream, sweeper
from live.models import Run
from live.sweeper import Sweeper
from tests.live.publishers import log_rows
from tests.live.sweeping import sweep

pytestmark = pytest.mark.django_db


class Backend:
    """The result backend, which fails for the runs it is told to, and remembers who was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails_for: set[str] | None = set()
        self.takes_s = 0.0
        self.asked: list[str] = []
        self._stock = current_app.backend._get_task_meta_for
        monkeypatch.setattr(type(current_app.backend), "_get_task_meta_for", lambda _, run_id: self.ask(run_id))

    def ask(self, run_id: str) -> Any:
        """Answer as the stock one does, or raise."""
        self.asked.append(run_id)
        if self.fails_for is None or run_id in self.fails_for:
            raise ConnectionError("the backend is gone")
        time.sleep(self.takes_s)
        return self._stock(run_id)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """The result backend of this test."""
    return Backend(monkeypatch)


def announced(watch: Sweeper) -> list[events.Row]:
    """Look once and return what was announced then."""
    before = len(log_rows())
    watch.sweep_lost()
    publish.flush()
    return log_rows()[before:]


@pytest.fixture
def watch(log: stream.Log) -> Sweeper:
    """A sweeper that has seen nothing yet."""
    return Sweeper(log)


@pytest.mark.parametrize(
    ("stored", "status", "state"),
    [(3, "SUCCESS", "succeeded"), (ValueError("no"), "FAILURE", "failed"), (None, "STARTED", "lost")],
)
def test_what_celery_stored_of_a_run_is_its_end_though_its_worker_told_none(
    log: stream.Log, make_run: Callable[..., Run], stored: Any, status: str, state: str
) -> None:
    make_run("running")
    current_app.backend.store_result("run-0001", stored, status)

    told = sweep(log)["run-0001"]

    assert told.state == state
    assert told.result == ("3" if state == "succeeded" else None)


def test_a_run_waits_for_a_result_backend_that_fails_and_is_lost_at_last(
    watch: Sweeper, running_run: Run, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    current_app.backend.store_result("run-0001", 3, "SUCCESS")
    backend.fails_for = None

    assert [watch.sweep_lost(), watch.sweep_lost()] == [0, 0]
    assert backend.asked == ["run-0001", "run-0001"]
    with monkeypatch.context() as patched:
        patched.setattr(sweeper, "_UNKNOWN_S", 0.0)
        assert [row.state for row in announced(watch)] == ["lost"]
    watch.restart()
    backend.fails_for = set()
    assert [row.state for row in announced(watch)] == ["succeeded"]


def test_a_result_backend_that_fails_is_asked_once_a_look_and_not_always_for_the_same_run(
    watch: Sweeper, make_run: Callable[..., Run], backend: Backend
) -> None:
    for _ in range(3):
        make_run("running")
    backend.fails_for = None

    for number in range(1, 4):
        watch.sweep_lost()
        assert len(backend.asked) == number

    assert sorted(backend.asked) == ["run-0001", "run-0002", "run-0003"]


def test_a_result_that_cannot_be_read_keeps_no_other_run_waiting(
    watch: Sweeper, make_run: Callable[..., Run], backend: Backend
) -> None:
    for _ in range(4):
        make_run("running")
    backend.fails_for = {"run-0002"}

    told = {row.id for _ in range(2) for row in announced(watch)}

    assert told == {"run-0001", "run-0003", "run-0004"}


def test_a_look_does_not_ask_for_longer_than_it_may(
    watch: Sweeper, make_run: Callable[..., Run], backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "_ASK_S", 0.05)
    for _ in range(5):
        make_run("running")
    backend.takes_s = 0.03

    told = announced(watch)

    assert 1 <= len(told) <= 2
    assert len(backend.asked) == len(told)


def test_the_backends_own_retries_do_not_hold_a_look_up(
    watch: Sweeper, running_run: Run, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.fails_for = None
    monkeypatch.setattr(current_app.backend, "always_retry", True)
    monkeypatch.setattr(current_app.backend, "exception_safe_to_retry", lambda _: True)
    monkeypatch.setattr(current_app.backend, "max_retries", 3)

    watch.sweep_lost()

    assert len(backend.asked) == 1


def test_runs_in_no_workers_hands_are_all_asked_for_in_turn(
    watch: Sweeper, make_run: Callable[..., Run], backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "_MAX_FREE", 2)
    for _ in range(5):
        make_run("running", worker="")
    current_app.backend.store_result("run-0005", None, "FAILURE")

    ends = [[row.id for row in announced(watch)] for _ in range(4)]

    assert ends == [[], [], ["run-0005"], []]
    assert backend.asked[:5] == [f"run-000{number}" for number in range(1, 6)]
    assert backend.asked[5:] == ["run-0001", "run-0002"]


@pytest.mark.parametrize(("hours", "state"), [(23, None), (25, "lost")])
def test_a_run_in_no_workers_hands_that_tells_no_end_for_a_day_is_lost(
    log: stream.Log, make_run: Callable[..., Run], hours: int, state: str | None
) -> None:
    make_run("running", worker="", started_at=datetime.now(UTC) - timedelta(hours=hours))

    told = sweep(log)

    assert [row.state for row in told.values()] == ([state] if state else [])
