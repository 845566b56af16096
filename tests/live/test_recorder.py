"""The recorder: each row lands once, whatever crashes when, and nothing that is broken stops the rest."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection

from live import events, queries, recorder, stream
from live.models import Attempt, LogPosition, Run
from live.recorder import PositionMoved, Recorder
from tests.harness.wait import until
from tests.live.readers import Announcer, give_table_back, take_table_away
from tests.live.rows import make_row

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def keeper(announce: Announcer) -> Iterator[Recorder]:
    """A recorder that works when it is told to."""
    keeper = Recorder()
    yield keeper
    keeper.log.close()


def stored() -> dict[str, events.Row]:
    return {run.id: queries.to_row(run) for run in Run.objects.all()}


def attempts() -> dict[tuple[str, int], str]:
    return {(found.run_id, found.number): found.state for found in Attempt.objects.all()}


@contextmanager
def recording(**started_by: Recorder) -> Iterator[threading.Event]:
    """Run recorders, each in a thread of its own, until the block ends."""
    stop = threading.Event()
    threads = [threading.Thread(target=one.run, args=[stop]) for one in started_by.values()]
    for thread in threads:
        thread.start()
    try:
        yield stop
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


def wait_for(*run_ids: str, seconds: float = 10) -> None:
    until(lambda: set(run_ids) <= set(stored()), f"{run_ids} to be recorded", seconds, lambda: str(stored()))


def test_rows_land_with_their_attempts_and_the_position(keeper: Recorder, announce: Announcer) -> None:
    announce(make_row("one", "queued"), make_row("two", "retrying", attempt=1))
    announce(make_row("one", "running"), make_row("two", "running", attempt=2))

    taken = keeper.step()

    assert taken == 2
    assert {run_id: row.state for run_id, row in stored().items()} == {"one": "running", "two": "running"}
    assert attempts() == {("one", 1): "running", ("two", 1): "retrying", ("two", 2): "running"}
    assert queries.position() == (announce.log.epoch, 2)
    assert keeper.step() == 0


def test_an_older_row_in_a_later_entry_overwrites_nothing(keeper: Recorder, announce: Announcer) -> None:
    done = make_row("one", "succeeded", result="3", moment=5)
    announce(done)
    keeper.step()

    announce(make_row("one", "queued"), make_row("one", "running", moment=4))
    keeper.step()

    assert stored() == {"one": done}
    assert attempts() == {("one", 1): "succeeded"}


def test_the_end_of_an_earlier_try_lands_though_the_next_one_runs(keeper: Recorder, announce: Announcer) -> None:
    announce(make_row("one", "running", attempt=1))
    announce(make_row("one", "running", attempt=2, moment=9))
    keeper.step()

    announce(make_row("one", "retrying", attempt=1, moment=5), make_row("one", "running", attempt=1, moment=4))
    keeper.step()
    announce(make_row("one", "running", attempt=1, moment=3))
    keeper.step()

    assert attempts() == {("one", 1): "retrying", ("one", 2): "running"}
    assert stored()["one"].attempt == 2


def test_whatever_statement_fails_all_of_a_batch_lands_or_nothing(keeper: Recorder, announce: Announcer) -> None:
    batches = [[make_row(f"run-{n}", "running"), make_row("all", "running", moment=n)] for n in range(1, 30)]
    failed = 0

    for number, batch in enumerate(batches):
        before = (queries.position()[1], stored(), attempts())
        announce(*batch)
        try:
            with connection.execute_wrapper(_fail_at(number)):
                keeper.step()
        except OperationalError:
            failed += 1
            assert (queries.position()[1], stored(), attempts()) == before
        keeper.position = None
        keeper.step()
        assert queries.position()[1] == number + 1

    assert 6 < failed < len(batches), "every statement of a write must have failed once"
    assert stored() == events.merge_all(row for batch in batches for row in batch)
    assert len(attempts()) == len(stored())


def _fail_at(number: int) -> Callable[..., Any]:
    left = iter(range(number))

    def execute(run: Callable[..., Any], *args: Any) -> Any:
        if next(left, None) is None:
            raise OperationalError("the database is gone")
        return run(*args)

    return execute


def test_two_recorders_that_both_believe_in_their_lease_write_each_entry_once(announce: Announcer) -> None:
    entries = 60
    rows = [make_row(f"run-{number % 20}", "running", moment=number) for number in range(entries)]
    taken: list[int] = []

    def work() -> None:
        one = Recorder()
        while queries.position()[1] < entries:
            try:
                taken.append(one.step())
            except (PositionMoved, OperationalError):
                one.position = None
        one.log.close()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for row in rows:
        announce(row)
    for thread in threads:
        thread.join(30)

    assert sum(taken) == entries
    assert stored() == events.merge_all(rows)


def test_the_second_recorder_waits_and_takes_over_at_once_when_the_first_stops(
    announce: Announcer, settings: Any
) -> None:
    settings.LIVE_LEASE_S = 0.9
    first, second = Recorder(), Recorder()
    with recording(second=second):
        with recording(first=first) as stop_first:
            announce(make_row("one"))
            wait_for("one")
            holder = announce.log.redis.get(stream.key("recorder"))
            stop_first.set()
            until(lambda: announce.log.redis.get(stream.key("recorder")) != holder or True, "the hand-over")
        announce(make_row("two"))
        wait_for("two", seconds=3)

    assert announce.log.redis.get(stream.key("recorder")) is None


def test_a_recorder_that_died_is_followed_by_another_when_its_lease_ends(announce: Announcer, settings: Any) -> None:
    settings.LIVE_LEASE_S = 0.6
    announce.log.redis.set(stream.key("recorder"), "of a dead one", px=600)

    with recording(next=Recorder()):
        announce(make_row("one"))
        wait_for("one", seconds=3)


def test_a_recorder_without_the_lease_writes_nothing(announce: Announcer, settings: Any) -> None:
    announce.log.redis.set(stream.key("recorder"), "of another")
    one = Recorder()
    with recording(one=one):
        announce(make_row("one"))
        until(lambda: announce.log.redis.client_list(), "time to pass")
        assert not one._hold_lease()

    assert stored() == {}
    assert announce.log.redis.get(stream.key("recorder")) == b"of another"


REFUSED = {
    "an id that is too long": {"run_id": "x" * 256},
    "an id with NUL": {"run_id": "a\x00b"},
    "an attempt beyond any column": {"run_id": "bad", "attempt": 2**70},
    "an attempt below zero": {"run_id": "bad", "attempt": -1},
    "a moment beyond any column": {"run_id": "bad", "moment": 2**70},
}


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED)
def test_a_row_that_the_database_refuses_stops_no_other(
    keeper: Recorder, announce: Announcer, caplog: pytest.LogCaptureFixture, fields: dict[str, Any]
) -> None:
    around = [make_row(f"run-{number}", "running") for number in range(20)]
    announce(*around[:13], make_row(state="running", **fields), *around[13:])

    keeper.step()

    assert set(stored()) == {row.id for row in around}
    assert len(attempts()) == 20
    assert queries.position()[1] == 1
    assert "is refused" in caplog.text


def test_of_a_run_that_is_retried_for_ever_only_the_tries_at_hand_are_read(
    keeper: Recorder, announce: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 40):
        announce(make_row("for-ever", "retrying", attempt=number))
    keeper.step()
    read = []
    to_attempt_row = queries.to_attempt_row
    monkeypatch.setattr(queries, "to_attempt_row", lambda found: read.append(found.number) or to_attempt_row(found))

    announce(make_row("for-ever", "running", attempt=40), make_row("for-ever", "failed", attempt=39, moment=9))
    keeper.step()

    assert read == [39]
    assert attempts()["for-ever", 39] == "failed"
    assert len(attempts()) == 40


def test_a_text_that_is_too_long_or_has_a_nul_is_cut_and_kept(keeper: Recorder, announce: Announcer) -> None:
    nul, long = "a\x00b", "x" * 9_000
    error = events.Error(type=nul, message=nul, traceback=nul)
    announce(
        make_row("one", "failed", title=long, task=long, worker=nul + long, error=error, result=nul, args=nul),
        make_row("two", progress=events.Progress(1, unit=nul, message=nul)),
    )

    keeper.step()

    one, two = stored()["one"], stored()["two"]
    assert (one.title, one.worker[:3], one.result, one.args) == (long[:255], "abx", "ab", "ab")
    assert one.error == events.Error("ab", "ab", "ab")
    assert two.progress and two.progress.message == "ab"
    assert attempts() == {("one", 1): "failed", ("two", 1): "running"}


def test_a_row_without_a_time_of_its_own_is_stored_with_one(keeper: Recorder, announce: Announcer) -> None:
    announce(make_row("one", queued_at=None))

    keeper.step()

    assert stored()["one"].queued_at is not None


def test_a_database_that_goes_and_comes_back_loses_nothing(
    announce: Announcer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_RETRY_S", 0.05)
    with recording(one=Recorder()):
        announce(make_row("one"))
        wait_for("one")
        take_table_away("live_run")
        try:
            announce(make_row("two"))
            until(lambda: "Recording waits." in caplog.text, "the failure to be said")
        finally:
            give_table_back("live_run")
        wait_for("one", "two")

    assert LogPosition.objects.get().seq == 2


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_connection_that_broke_is_made_anew(
    announce: Announcer, monkeypatch: pytest.MonkeyPatch, error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorder, "_RETRY_S", 0.01)
    one, stop, closed = Recorder(), threading.Event(), []

    def fail_once(run: Callable[..., Any], *args: Any) -> Any:
        if not closed:
            closed.append(connection.connection)
            raise error("the connection is closed")
        return run(*args)

    def work() -> None:
        with connection.execute_wrapper(fail_once):
            one.run(stop)

    thread = threading.Thread(target=work)
    thread.start()
    announce(make_row("one"))
    wait_for("one")
    stop.set()
    thread.join(5)

    assert not thread.is_alive()
    assert "Recording waits. the connection is closed" in caplog.text


def test_redis_may_go_and_come_back(own_redis: Any, caplog: pytest.LogCaptureFixture) -> None:
    with Announcer() as announce, recording(one=Recorder()):
        announce(make_row("one"))
        wait_for("one")
        own_redis.kill()
        until(lambda: "Recording waits." in caplog.text, "the failure to be said")
        own_redis.restart()
        announce(make_row("two"))
        wait_for("one", "two")


def test_a_thread_that_failed_starts_again_and_gives_its_lease_back_at_the_end(
    announce: Announcer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "live.recorder")
    failures = [ZeroDivisionError("a bug")]
    monkeypatch.setattr(recorder, "_RETRY_S", 0.01)
    step = Recorder.step

    def fail_once(self: Recorder, block_ms: int | None = None) -> int:
        if failures:
            raise failures.pop()
        return step(self, block_ms)

    monkeypatch.setattr(Recorder, "step", fail_once)
    monkeypatch.setattr("live.conf.Settings.EMBED_RECORDER", True)
    monkeypatch.setattr(recorder, "_thread", None)
    monkeypatch.setattr(recorder.conf.live, "LEASE_S", 0.3, raising=False)

    recorder.start_thread()
    recorder.start_thread()
    announce(make_row("one"))
    wait_for("one")
    thread = recorder._thread
    recorder.stop_thread()

    assert thread and not thread.is_alive()
    assert announce.log.redis.get(stream.key("recorder")) is None
