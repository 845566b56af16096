"""The rows that wait: changes of state all, progress the newest, and never more than the bound."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live import events
from live.buffer import Buffer
from tests.live.rows import make_row, rows


def take_all(buffer: Buffer) -> list[events.Row]:
    taken: list[events.Row] = []
    while batch := buffer.take(now=0.0):
        taken += batch
    return taken


def test_changes_come_out_as_they_went_in() -> None:
    buffer = Buffer()
    given_rows = [make_row("a"), make_row("b"), make_row("a", state="succeeded")]

    for row in given_rows:
        buffer.put(row)

    assert len(buffer) == 3
    assert take_all(buffer) == given_rows
    assert len(buffer) == 0


def test_a_batch_is_bounded(settings: Any) -> None:
    settings.LIVE_BATCH_ROWS = 2
    buffer = Buffer()
    for number in range(5):
        buffer.put(make_row(str(number)))

    assert [len(buffer.take(now=0.0)) for _ in range(4)] == [2, 2, 1, 0]


def test_a_full_buffer_merges_the_rows_of_a_run_before_it_drops_any(settings: Any) -> None:
    settings.LIVE_BUFFER_ROWS = 3
    buffer = Buffer()

    for state in ("queued", "received", "running", "succeeded"):
        buffer.put(make_row("a", state=state))
    buffer.put(make_row("b"))

    assert (buffer.merged, buffer.dropped) == (3, 0)
    assert [(row.id, row.state) for row in take_all(buffer)] == [("a", "succeeded"), ("b", "running")]


def test_a_buffer_full_of_other_runs_drops_what_changed_longest_ago_and_counts(settings: Any) -> None:
    settings.LIVE_BUFFER_ROWS = 3
    buffer = Buffer()
    for name in "abc":
        buffer.put(make_row(name))

    buffer.put(make_row("a", state="succeeded"))
    buffer.put(make_row("d"))

    assert (buffer.merged, buffer.dropped) == (1, 1)
    assert [row.id for row in take_all(buffer)] == ["c", "a", "d"]


@given(st.lists(rows(ids=st.sampled_from("abcd")), max_size=20), st.integers(1, 20))
def test_a_buffer_that_is_full_says_the_same_as_one_that_is_not(some: list[events.Row], bound: int) -> None:
    from django.test import override_settings

    buffer = Buffer()

    with override_settings(LIVE_BUFFER_ROWS=max(bound, 4)):
        for row in some:
            buffer.put(row)
        taken = take_all(buffer)

    assert events.merge_all(taken) == events.merge_all(some)
    assert buffer.dropped == 0
    assert buffer.merged == len(some) - len(taken)


def test_once_emptied_a_buffer_keeps_every_change_again(settings: Any) -> None:
    settings.LIVE_BUFFER_ROWS = 2
    buffer = Buffer()
    for state in ("queued", "received", "running"):
        buffer.put(make_row("a", state=state))
    take_all(buffer)

    buffer.put(make_row("a", state="queued"))
    buffer.put(make_row("a"))

    assert len(take_all(buffer)) == 2


def test_of_a_runs_progress_only_the_newest_waits() -> None:
    buffer = Buffer()

    buffer.offer("a", lambda: make_row("a", progress=events.Progress(1)))
    buffer.offer("a", lambda: make_row("a", progress=events.Progress(2)))

    assert [row.progress for row in buffer.take(now=0.0)] == [events.Progress(2)]
    assert buffer.next_due(now=0.0) is None


def test_progress_waits_its_turn(settings: Any) -> None:
    settings.LIVE_PROGRESS_PER_S = 10
    buffer = Buffer()
    buffer.offer("a", make_row)
    buffer.take(now=5.0)

    buffer.offer("a", make_row)

    assert buffer.take(now=5.05) == []
    assert buffer.next_due(now=5.05) == pytest.approx(5.1)
    assert len(buffer.take(now=5.11)) == 1


def test_a_change_of_state_takes_the_place_of_progress_that_waits() -> None:
    buffer = Buffer()
    buffer.offer("a", lambda: make_row("a"))

    buffer.put(make_row("a", state="succeeded", progress=events.Progress(3)))

    assert [row.state for row in take_all(buffer)] == ["succeeded"]


def test_progress_that_waits_outlives_a_change_that_knows_none() -> None:
    buffer = Buffer()
    said = events.Progress(3)
    buffer.offer("a", lambda: make_row("a", progress=said))

    buffer.put(make_row("a", state="failed"))

    merged = events.merge_all(take_all(buffer))["a"]
    assert (merged.state, merged.progress) == ("failed", said)


def test_progress_that_cannot_be_made_takes_nothing_with_it(caplog: pytest.LogCaptureFixture) -> None:
    buffer = Buffer()

    def refuse() -> events.Row:
        raise ZeroDivisionError

    buffer.offer("a", refuse)
    buffer.offer("b", lambda: make_row("b"))

    assert [row.id for row in buffer.take(now=0.0)] == ["b"]
    assert "No progress of a run." in caplog.text
    assert buffer.next_due(now=9.0) is None


def test_the_progress_of_many_runs_is_bounded(settings: Any) -> None:
    settings.LIVE_BUFFER_ROWS = 3
    buffer = Buffer()

    for number in range(5):
        buffer.offer(str(number), make_row)

    assert (len(buffer), buffer.dropped) == (3, 2)
