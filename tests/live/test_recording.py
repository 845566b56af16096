"""What is recorded is what the log says, in any order and parts; nothing that is broken stops the rest."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from live import events, queries, stream
from live import recorder as module
from live.models import Attempt, Run
from live.recorder import Recorder
from tests.live.publishers import log_rows
from tests.live.readers import Announcer
from tests.live.recording import facts, life, record_all, told_exactly
from tests.live.rows import make_row, rows

pytestmark = pytest.mark.django_db


def test_the_rows_of_the_log_are_what_the_database_knows(announce: Announcer, recorder: Recorder) -> None:
    for row in life("one") + life("two", tries=1, end="failed"):
        announce(row)

    record_all(recorder)

    assert facts()[0] == events.merge_all(log_rows())
    assert queries.position() == tuple(recorder.log.head())


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
@given(st.lists(rows(st.sampled_from(["one", "two"])).map(told_exactly), min_size=1, max_size=12), st.integers(0, 12))
def test_any_rows_at_all_recorded_in_two_parts_are_what_the_log_merges_to(told: list[events.Row], at: int) -> None:
    Run.objects.all().delete()

    module.store(told[:at])
    module.store(told[at:])

    assert facts()[0] == events.merge_all(told)
