"""The run that a thread executes, and the moments that order its rows."""

from __future__ import annotations

import threading
import time
from datetime import UTC
from typing import Any

import pytest
from celery.app.task import Context

from live import current, events
from tests.live.rows import make_row


def test_moments_grow_with_every_call() -> None:
    moments = [current.moment() for _ in range(10_000)]

    assert moments == sorted(set(moments))


def test_moments_grow_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = current.moment()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)

    after = [current.moment() for _ in range(3)]

    assert after == [before + 1, before + 2, before + 3]


def test_a_moment_is_the_wall_clocks_microseconds() -> None:
    moment = current.moment()

    assert abs(moment / 1e6 - time.time()) < 1
    assert current.to_time(moment).tzinfo is UTC
    assert abs(current.to_time(moment).timestamp() - moment / 1e6) < 1e-5


def test_a_request_remembers_its_run() -> None:
    request, row = Context(), make_row()

    current.begin(request, row)

    assert current.row_of(request) is row
    assert current.row_of(Context()) is None
    assert current.row_of(None) is None


def test_a_request_remembers_whom_to_ask_for_the_progress() -> None:
    request, said = Context(), events.Progress(3)

    current.follow(request, lambda: said)

    assert current.progress_of(request) is said
    assert current.progress_of(Context()) is None


def test_a_thread_remembers_its_own_last_run_only() -> None:
    mine, others = make_row("mine"), []
    current.begin(Context(), mine)

    def look() -> None:
        others.append(current.last_row())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(5)

    assert current.last_row() is mine
    assert others == [None]


def test_what_a_request_remembers_does_not_outlive_it() -> None:
    request: Any = Context()
    current.begin(request, make_row())

    request.clear()

    assert current.row_of(request) is None
