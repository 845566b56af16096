"""The recorder when something dies: itself, the database, Redis, or another that holds the lease."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection

from live import events, queries, stream
from live import recorder as module
from live.models import Run
from live.recorder import PositionMoved, Recorder
from tests.harness.wait import until
from tests.live.publishers import log_rows
from tests.live.readers import Announcer, give_table_back, take_table_away
from tests.live.recording import facts, life, record_all, running
from tests.live.rows import make_row
from tests.live.servers import OwnRedis

pytestmark = pytest.mark.django_db


class Crash(BaseException):
    """The process dies here."""


@contextmanager
def crashing_at(statement: int, before: bool) -> Iterator[None]:
    """Die at the n-th statement to the database, before or after it is done."""
    seen = 0

    def execute(go_on: Any, *args: Any) -> Any:
        nonlocal seen
        seen += 1
        if before and seen == statement:
            raise Crash
        answer = go_on(*args)
        if seen == statement:
            raise Crash
        return answer

    with connection.execute_wrapper(execute):
        yield


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before", [True, False])
def test_whatever_statement_a_crash_falls_on_the_next_recorder_goes_on(
    announce: Announcer, make_recorder: Callable[[], Recorder], before: bool
) -> None:
    announce(*life("one")[:4])
    record_all(make_recorder())
    announce(*life("one")[4:], *life("two"))
    known, position = facts(), queries.position()
    crashes = 0
    while True:
        try:
            with crashing_at(crashes + 1, before):
                make_recorder().step()
            break
        except Crash:
            crashes += 1
            connection.close()
            assert (facts(), queries.position()) == (known, position)

    assert crashes >= 8
    assert facts()[0] == events.merge_all(log_rows())
    assert [attempt["number"] for attempt in facts()[1]] == [1, 2, 1, 2]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["_store_attempts", "store", "_store_what_can_be"])
def test_a_crash_inside_the_transaction_leaves_neither_rows_nor_position(
    announce: Announcer, make_recorder: Callable[[], Recorder], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    announce(*life("one"))
    done = getattr(module, step)

    def crash(*args: Any) -> None:
        if step != "_store_attempts":
            done(*args)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(module, step, crash)
        with pytest.raises(Crash):
            make_recorder().step()
    assert (facts(), queries.position()) == (({}, []), ("", 0))

    record_all(make_recorder())

    assert facts()[0] == events.merge_all(log_rows())


def test_a_crash_after_the_commit_doubles_nothing(
    announce: Announcer, make_recorder: Callable[[], Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(*life("one"))
    first = make_recorder()
    monkeypatch.setattr(first.log, "trim", lambda below: exec("raise Crash", {"Crash": Crash}))
    with pytest.raises(Crash):
        first.step()
    known = facts()

    assert make_recorder().step() == 0
    assert facts() == known
    assert len(known[1]) == 2


@pytest.mark.parametrize("when", ["the first statement", "the last statement"])
@pytest.mark.django_db(transaction=True)
def test_when_the_database_fails_the_same_recorder_goes_on(
    announce: Announcer, recorder: Recorder, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    announce(*life("one"))

    def execute(go_on: Any, sql: str, *args: Any) -> Any:
        if when == "the first statement" or sql.startswith('UPDATE "live_logposition"'):
            raise OperationalError("server closed the connection unexpectedly")
        return go_on(sql, *args)

    with connection.execute_wrapper(execute), pytest.raises(OperationalError) as caught:
        recorder.step()
    recorder._recover(caught.value)
    assert facts() == ({}, [])

    record_all(recorder)

    assert "Recording waits. server closed" in caplog.text
    assert facts()[0] == events.merge_all(log_rows())


@pytest.mark.django_db(transaction=True)
def test_rows_that_come_while_the_database_is_away_are_recorded_when_it_is_back(
    announce: Announcer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.05)
    with running():
        announce(make_row("before"))
        until(lambda: queries.position()[1] == 1, "the first to be recorded")
        take_table_away("live_run")
        try:
            announce(make_row("meanwhile"))
            until(lambda: caplog.text.count("Recording waits.") >= 2, "the recorder to notice")
        finally:
            give_table_back("live_run")
        until(lambda: queries.position()[1] == 2, "the second to be recorded")

    assert set(facts()[0]) == {"before", "meanwhile"}


@pytest.mark.django_db(transaction=True)
def test_a_recorder_whose_connections_are_cut_goes_on(announce: Announcer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.05)
    with running():
        for number in range(1, 4):
            announce(make_row(f"run-{number}"))
            until(lambda seq=number: queries.position()[1] == seq, "it to be recorded")
            cut_connections()


def cut_connections() -> None:
    """Cut every other connection to the database, as its restart does; SQLite has a file and none."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )


@pytest.mark.django_db(transaction=True)
def test_when_redis_dies_and_comes_back_the_log_is_recorded_on(
    own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.05)
    settings.LIVE_LEASE_S = 0.5
    with Announcer() as announce, running():
        announce(*life("one"))
        until(lambda: Run.objects.filter(state="succeeded").exists(), "the first to be recorded")
        epoch = queries.position()[0]
        own_redis.kill()
        own_redis.restart()
        with Announcer() as announce_again:
            announce_again(*life("two"))
        until(lambda: Run.objects.filter(state="succeeded").count() == 2, "the second to be recorded")

    assert queries.position()[0] != epoch
    assert len(facts()[1]) == 4


@pytest.mark.parametrize("timeout_s", [0.3, 0.001])
def test_an_idle_recorder_waits_for_less_than_a_command_may_take(
    recorder: Recorder, settings: Any, monkeypatch: pytest.MonkeyPatch, timeout_s: float
) -> None:
    settings.LIVE_REDIS_TIMEOUT_S = timeout_s
    stop, waits = threading.Event(), []
    monkeypatch.setattr(recorder, "_hold_lease", lambda: True)
    monkeypatch.setattr(recorder, "step", lambda block_ms: (waits.append(block_ms), stop.set()) and 0)

    recorder.run(stop)

    assert 0 < waits[0] <= max(1, timeout_s * 1000 / 2)


def test_of_two_that_believe_they_hold_the_lease_the_second_writes_nothing(
    announce: Announcer, make_recorder: Callable[[], Recorder]
) -> None:
    first, second = make_recorder(), make_recorder()
    announce(*life("one"))
    first.step()
    second.step()
    announce(*life("two"))
    second.step()
    known, position = facts(), queries.position()
    announce(*life("three"))

    with pytest.raises(PositionMoved):
        first.step()

    assert (facts(), queries.position()) == (known, position)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_record_everything_and_never_go_back(
    announce: Announcer, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(Recorder, "_hold_lease", lambda self: True)
    monkeypatch.setattr(module, "_GATHER_S", 0.01)
    with running(), running():
        seen = [0]
        for number in range(40):
            announce(*life(f"run-{number % 5}")[number % 4 :])
            seen.append(queries.position()[1])
        until(lambda: queries.position()[1] == 40, "all to be recorded")

    assert seen == sorted(seen)
    assert facts()[0] == events.merge_all(log_rows())
    assert len(facts()[1]) == 10


def test_the_lease_of_one_that_was_killed_passes_on_when_it_runs_out(
    make_recorder: Callable[[], Recorder], settings: Any
) -> None:
    settings.LIVE_LEASE_S = 0.3
    killed, heir = make_recorder(), make_recorder()
    assert killed._hold_lease()
    assert not heir._hold_lease()

    until(heir._hold_lease, "the lease to run out", 5)

    assert not killed._hold_lease()


def test_a_lease_that_is_held_on_to_does_not_run_out(make_recorder: Callable[[], Recorder], settings: Any) -> None:
    settings.LIVE_LEASE_S = 0.5
    holder, other = make_recorder(), make_recorder()
    holder._hold_lease()
    settings.LIVE_LEASE_S = 60.0

    assert holder._hold_lease()
    assert holder.log.redis.pttl(stream.key("recorder")) > 50_000
    assert not other._hold_lease()


def test_who_stops_in_order_gives_the_lease_back_and_nobody_elses(make_recorder: Callable[[], Recorder]) -> None:
    first, second = make_recorder(), make_recorder()
    first._hold_lease()
    second._release()
    assert not second._hold_lease()

    first._release()

    assert second._hold_lease()


@pytest.mark.django_db(transaction=True)
def test_the_next_recorder_records_as_soon_as_the_first_stops(announce: Announcer, settings: Any) -> None:
    settings.LIVE_LEASE_S = 600.0
    for number in range(1, 3):
        with running():
            announce(make_row(f"run-{number}"))
            until(lambda seq=number: queries.position()[1] == seq, "it to be recorded", 5)
