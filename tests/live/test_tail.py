"""The tail: what changed since when, and never more than LIVE_TAIL_ROWS of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from live import events
from live.tail import Change, Tail
from tests.live.rows import make_row, rows
from tests.live.subscribers import CLERK, OPERATOR


@pytest.fixture
def tail() -> Tail:
    tail = Tail()
    tail.begin("life", 0)
    return tail


def test_a_first_row_has_nothing_before_it(tail: Tail) -> None:
    row = make_row(state="queued")

    changes = tail.take(1, [row])

    assert changes == [Change(None, row, is_new=True)]
    assert tail.seq == 1


def test_a_change_tells_what_the_run_was_before(tail: Tail) -> None:
    queued, running = make_row(state="queued"), make_row(state="running")
    tail.take(1, [queued])

    changes = tail.take(2, [running])

    assert changes == [Change(queued, running)]


def test_a_row_that_changes_nothing_is_no_change(tail: Tail) -> None:
    running = make_row(state="running")
    tail.take(1, [running])

    changes = tail.take(2, [make_row(state="queued"), running])

    assert changes == []
    assert tail.changed_since("life", 1, OPERATOR.may_see) == set()


def test_the_end_of_an_earlier_try_is_told_though_the_next_one_runs(tail: Tail) -> None:
    second = make_row(state="running", attempt=2, moment=5)
    end_of_first = make_row(state="retrying", attempt=1, moment=3)
    tail.take(1, [second])

    changes = tail.take(2, [end_of_first])

    assert changes == [Change(second, end_of_first)]
    assert list((tail.rows_since("life", 0) or {}).values()) == [end_of_first, second]


def test_both_tries_of_a_run_in_one_entry_are_told(tail: Tail) -> None:
    first, second = make_row(state="retrying"), make_row(state="running", attempt=2)

    changes = tail.take(1, [second, first])

    assert [change.row for change in changes] == [second, first]


@pytest.mark.parametrize(
    ("epoch", "seq", "expected"),
    [
        ("life", 0, {"run-1", "run-2", "run-3"}),
        ("life", 2, {"run-3"}),
        ("life", 3, set()),
        ("life", 4, None),
        ("life", -1, None),
        ("life", -(10**30), None),
        ("life", 10**30, None),
        ("another life", 2, None),
        ("", 0, None),
    ],
)
def test_what_changed_is_known_within_the_tail_and_not_outside(
    tail: Tail, epoch: str, seq: int, expected: set[str] | None
) -> None:
    for number in (1, 2, 3):
        tail.take(number, [make_row(f"run-{number}")])

    assert tail.changed_since(epoch, seq, OPERATOR.may_see) == expected


def test_what_changed_is_told_of_runs_that_may_be_seen_only(tail: Tail) -> None:
    tail.take(1, [make_row("mine", owner="clerk"), make_row("theirs", owner="other"), make_row("nobodys")])

    assert tail.changed_since("life", 0, CLERK.may_see) == {"mine"}


def test_what_the_tail_has_dropped_it_does_not_claim_to_know(tail: Tail, settings: Any) -> None:
    settings.LIVE_TAIL_ROWS = 2
    for number in (1, 2, 3):
        tail.take(number, [make_row(f"run-{number}")])

    assert tail.changed_since("life", 0, OPERATOR.may_see) is None
    assert tail.changed_since("life", 1, OPERATOR.may_see) == {"run-2", "run-3"}


def test_what_the_database_knows_better_is_learned(tail: Tail) -> None:
    stray = make_row(state="running", moment=1)
    tail.take(1, [stray])

    tail.learn(make_row(state="succeeded", moment=9))
    tail.learn(make_row("another", state="succeeded"))
    changes = tail.take(2, [make_row(state="running", moment=2)])

    assert changes == []
    assert {row.state for row in (tail.rows_since("life", 0) or {}).values()} == {"succeeded"}


def test_a_later_try_that_only_the_database_knows_is_what_the_run_was_before(tail: Tail) -> None:
    tail.take(1, [make_row(state="running", attempt=1)])
    stored = make_row(state="running", attempt=2)

    tail.learn(stored)
    changes = tail.take(2, [make_row(state="retrying", attempt=1, moment=2)])

    assert changes[0].before == stored


@given(st.lists(st.lists(rows(st.sampled_from(["a", "b", "c", "d"])), max_size=4), max_size=60))
def test_the_tail_never_holds_more_than_it_may(entries: list[list[events.Row]]) -> None:
    tail = Tail()
    tail.begin("life", 0)

    with override_settings(LIVE_TAIL_ROWS=5):
        for seq, entry in enumerate(entries, 1):
            tail.take(seq, entry)
            tail.learn(events.merge_all(entry).get("a", make_row("a")))

            assert sum(map(len, tail._runs.values())) <= 5 + len(tail._runs)
            assert len(tail._entries) <= 5


def test_rows_that_change_nothing_leave_nothing_behind_for_ever(tail: Tail, settings: Any) -> None:
    settings.LIVE_TAIL_ROWS = 10

    for seq in range(1, 201, 2):
        tail.take(seq, [make_row(f"run-{seq}", state="running")])
        tail.take(seq + 1, [make_row(f"run-{seq}", state="queued")])

    assert len(tail._runs) <= 10


def test_a_run_that_is_retried_for_ever_costs_no_more_than_any_other(tail: Tail, settings: Any) -> None:
    settings.LIVE_TAIL_ROWS = 10

    for seq in range(1, 201):
        tail.take(seq, [make_row(state="retrying", attempt=seq)])

    assert sum(map(len, tail._runs.values())) <= 10


def test_the_last_try_is_known_as_long_as_an_earlier_one_is(tail: Tail, settings: Any) -> None:
    settings.LIVE_TAIL_ROWS = 2
    last = make_row(state="lost", attempt=2)
    tail.take(1, [last])
    for seq in (2, 3, 4):
        tail.take(seq, [make_row(state="failed", attempt=1, moment=9 - seq)])

    changes = tail.take(5, [make_row(state="failed", attempt=2, moment=3)])

    assert changes[0].before == last


def test_another_life_begins_with_nothing(tail: Tail) -> None:
    tail.take(1, [make_row()])
    life = tail.life

    tail.begin("another", 40)

    assert (tail.epoch, tail.seq, tail.life) == ("another", 40, life + 1)
    assert tail.changed_since("another", 40, OPERATOR.may_see) == set()
    assert tail.changed_since("another", 39, OPERATOR.may_see) is None
    assert tail.take(41, [make_row()])[0].before is None
