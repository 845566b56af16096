"""The recorder: each row of the log lands once, whatever crashes when, and nothing that is broken stops the rest."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from live import events, queries, stream
from live import recorder as module
from live.models import Attempt, LogPosition, Run
from live.recorder import PositionMoved, Recorder
from tests.harness.wait import until
from tests.live.publishers import log_rows
from tests.live.readers import Announcer, give_table_back, take_table_away
from tests.live.rows import NOON, make_row, rows
from tests.live.servers import OwnRedis

Facts = tuple[dict[str, events.Row], list[Any]]
pytestmark = pytest.mark.django_db


@pytest.fixture
def make_recorder(redis: Any) -> Iterator[Callable[[], Recorder]]:
    """Make recorders; each is closed at the end."""
    made: list[Recorder] = []

    def make() -> Recorder:
        made.append(Recorder())
        return made[-1]

    yield make
    for recorder in made:
        recorder.log.close()


@pytest.fixture
def recorder(make_recorder: Callable[[], Recorder]) -> Recorder:
    """A recorder that has seen nothing yet."""
    return make_recorder()


@contextmanager
def running() -> Iterator[Recorder]:
    """A recorder that runs in a thread of its own."""
    recorder, stop = Recorder(), threading.Event()
    thread = threading.Thread(target=recorder.run, args=[stop])
    thread.start()
    try:
        yield recorder
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def record_all(recorder: Recorder) -> None:
    """Let the recorder step until nothing is left."""
    while recorder.step():
        pass


def facts() -> Facts:
    """What the database knows of runs and attempts."""
    runs = {run.id: queries.to_row(run) for run in Run.objects.all()}
    fields = ("run_id", "number", "state", "worker", "started_at", "finished_at", "error")
    return runs, list(Attempt.objects.order_by("run_id", "number").values(*fields))


def failure(text: str) -> events.Error:
    return events.Error("ValueError", text)


def life(run_id: str, tries: int = 2, end: str = "succeeded", worker: str = "celery@here") -> list[events.Row]:
    """Every row of a run in its order: each try but the last is retried, each with an error of its own."""
    first = {"worker": worker, "phase": 0}
    told = [make_row(run_id, "queued", moment=1), make_row(run_id, "received", moment=2, **first)]
    for attempt in range(1, tries + 1):
        now = {"attempt": attempt, "worker": f"{worker}-{attempt}", "started_at": NOON}
        told.append(make_row(run_id, "running", moment=10, **now))
        progress = events.Progress(current=attempt, total=9, at=11)
        told.append(make_row(run_id, "running", moment=11, progress=progress, **now))
        state = end if attempt == tries else "retrying"
        error = failure(f"try {attempt} of {run_id}") if state in ("retrying", "failed") else None
        told.append(make_row(run_id, state, moment=12, error=error, finished_at=NOON, **now))
    return told


def test_the_rows_of_the_log_are_what_the_database_knows(announce: Announcer, recorder: Recorder) -> None:
    for row in life("one") + life("two", tries=1, end="failed"):
        announce(row)

    record_all(recorder)

    assert facts()[0] == events.merge_all(log_rows())
    assert queries.position() == tuple(recorder.log.head())


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


def begin_another_life(redis: Any) -> None:
    """Let Redis look as if it had been started anew, with the log it had."""
    redis.hset(stream.key("epoch"), "life", "another")


def test_a_new_epoch_reads_the_whole_log_again_and_doubles_nothing(
    announce: Announcer, recorder: Recorder, redis: Any
) -> None:
    announce(*life("one"))
    announce(*life("two"))
    record_all(recorder)
    known, (epoch, _) = facts(), queries.position()
    Run.objects.filter(id="one").delete()
    begin_another_life(redis)

    record_all(recorder)

    assert facts() == known
    assert queries.position()[0] not in ("", epoch)
    assert queries.position()[1] == 2


def test_a_log_that_was_lost_begins_again_at_its_first_entry(
    announce: Announcer, recorder: Recorder, redis: Any
) -> None:
    for number in range(5):
        announce(make_row(f"run-{number}"))
    record_all(recorder)
    redis.delete(stream.key("log"))
    announce(make_row("after"))

    record_all(recorder)

    assert set(facts()[0]) == {"after", *(f"run-{number}" for number in range(5))}
    assert queries.position()[1] == 1


def test_entries_that_the_log_dropped_unread_are_named(
    announce: Announcer, recorder: Recorder, redis: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        announce(make_row(f"run-{number}"))
        if number == 1:
            record_all(recorder)
    redis.xdel(stream.key("log"), "0-3", "0-4")

    record_all(recorder)

    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "The log dropped 2 entries unread."
    ]
    assert queries.position()[1] == 5


@pytest.mark.parametrize("poison", [b"\xff\x00", b"{}", b'[{"id": 1}]', b"[" * 5000, b"null", b""])
def test_an_entry_that_nobody_can_read_does_not_stop_the_rest(
    announce: Announcer, recorder: Recorder, redis: Any, poison: bytes
) -> None:
    announce(make_row("before"))
    redis.xadd(stream.key("log"), {"rows": poison}, id="0-*")
    redis.xadd(stream.key("log"), {"else": "1"}, id="0-*")
    announce(make_row("after"))

    record_all(recorder)

    assert set(facts()[0]) == {"before", "after"}
    assert queries.position()[1] == 4


REFUSED = {
    "an id too long": make_row("x" * 256),
    "an id with NUL": make_row("a\x00b"),
    "a negative attempt": make_row("refused", attempt=-1),
    "a moment beyond any": make_row("refused", moment=2**70),
    "an attempt beyond any": make_row("refused", attempt=2**70),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_row_that_the_database_refuses_does_not_stop_the_rest(
    announce: Announcer, recorder: Recorder, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    announce(make_row("one"), make_row("two"), REFUSED[what], make_row("three"))
    announce(make_row("four"))

    record_all(recorder)

    assert set(facts()[0]) == {"one", "two", "three", "four"}
    assert "refused" in caplog.text
    assert queries.position()[1] == 2


def test_texts_too_long_or_with_nul_are_cut_to_what_the_columns_hold(announce: Announcer, recorder: Recorder) -> None:
    error = failure("a\x00b")
    announce(make_row(title="t" * 300, owner="o\x00o", worker="w" * 300, args="\x00", error=error, state="failed"))

    record_all(recorder)

    found = facts()[0]["run-1"]
    assert (found.title, found.owner, found.worker, found.args) == ("t" * 255, "oo", "w" * 255, "")
    assert found.error == failure("ab")
    assert facts()[1][0]["worker"] == "w" * 255


def test_a_state_that_nobody_knows_does_not_stop_the_rest(announce: Announcer, recorder: Recorder) -> None:
    told = life("one")
    announce(*told)
    record_all(recorder)
    known = facts()
    announce(make_row("one", "paused-for-a-very-long-while", attempt=1, moment=13))
    announce(make_row("after"))

    record_all(recorder)

    assert facts()[0] == {**known[0], "after": make_row("after")}
    assert known[1] == [attempt for attempt in facts()[1] if attempt["run_id"] == "one"]


@pytest.mark.parametrize("when", ["the first statement", "the last statement"])
@pytest.mark.django_db(transaction=True)
def test_when_the_database_fails_the_same_recorder_goes_on(
    announce: Announcer, recorder: Recorder, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    announce(*life("one"))
    stop = threading.Event()

    def execute(go_on: Any, sql: str, *args: Any) -> Any:
        if when == "the first statement" or "live_logposition" in sql and sql.startswith("UPDATE"):
            raise OperationalError("server closed the connection unexpectedly")
        return go_on(sql, *args)

    with connection.execute_wrapper(execute), pytest.raises(OperationalError) as caught:
        recorder.step()
    recorder._recover(caught.value)
    assert facts() == ({}, [])

    record_all(recorder)

    assert "Recording waits. server closed" in caplog.text
    assert facts()[0] == events.merge_all(log_rows())
    assert not stop.is_set()


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
def test_a_recorder_whose_connections_the_server_cuts_goes_on(
    announce: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no connections to cut")
    monkeypatch.setattr(module, "_RETRY_S", 0.05)
    with running():
        for number in range(1, 4):
            announce(make_row(f"run-{number}"))
            until(lambda seq=number: queries.position()[1] == seq, "it to be recorded")
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


def test_one_transaction_takes_a_bounded_number_of_rows_but_always_whole_entries(
    announce: Announcer, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH_ROWS", 20)
    for entry in range(5):
        announce(*(make_row(f"run-{entry}-{number}") for number in range(9)))

    steps = [(recorder.step(), recorder.caught_up) for _ in range(3)]

    assert steps == [(3, False), (2, True), (0, True)]
    assert Run.objects.count() == 45


def test_the_log_keeps_what_is_not_recorded_and_the_last_that_is(
    announce: Announcer, recorder: Recorder, settings: Any, redis: Any
) -> None:
    settings.LIVE_LOG_KEEP_ENTRIES = 10
    for number in range(450):
        announce(make_row(f"run-{number % 3}", moment=number + 1))
    while recorder.step():
        first = int(redis.xrange(stream.key("log"), count=1)[0][0].split(b"-")[1])
        assert first <= queries.position()[1] - 9
        assert redis.xlen(stream.key("log")) == 450 - first + 1

    assert 10 <= redis.xlen(stream.key("log")) < 450 - 200


def test_each_try_keeps_an_error_of_its_own(announce: Announcer, recorder: Recorder) -> None:
    for row in life("one", tries=4, end="failed"):
        announce(row)
        recorder.step()

    found = [(attempt.number, attempt.state, attempt.error["message"]) for attempt in Attempt.objects.all()]

    assert found == [
        (1, "retrying", "try 1 of one"),
        (2, "retrying", "try 2 of one"),
        (3, "retrying", "try 3 of one"),
        (4, "failed", "try 4 of one"),
    ]


def test_a_late_row_of_an_older_try_changes_neither_the_run_nor_the_end_of_the_try(
    announce: Announcer, recorder: Recorder
) -> None:
    told = life("one")
    announce(*told)
    record_all(recorder)
    known = facts()
    announce(told[3])
    announce(told[2])
    announce(told[0])

    record_all(recorder)

    assert facts() == known


RUNS = [life("one", 3), life("two", 1, "failed"), life("three", 2, "cancelled"), life("four", 2)[:-2]]


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations([row for run in RUNS for row in run]), st.lists(st.integers(1, 12), max_size=8), st.data())
def test_any_order_in_any_batches_gives_what_recording_once_in_order_gives(
    shuffled: list[events.Row], sizes: list[int], data: st.DataObject
) -> None:
    Run.objects.all().delete()
    module.store([row for run in RUNS for row in run])
    expected = facts()
    Run.objects.all().delete()

    again = data.draw(st.lists(st.sampled_from(shuffled), max_size=5), "said again")
    rest = [*shuffled, *again]
    for size in [*sizes, len(rest)]:
        module.store(rest[:size])
        rest = rest[size:]

    assert facts() == expected


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows(st.sampled_from(["one", "two"])), min_size=1, max_size=12), st.integers(0, 12))
def test_any_rows_at_all_recorded_in_two_parts_are_what_the_log_merges_to(told: list[events.Row], at: int) -> None:
    for row in told:
        row.queued_at = NOON
    Run.objects.all().delete()

    module.store(told[:at])
    module.store(told[at:])

    assert facts()[0] == events.merge_all(told)
