"""The words: rows merge to the same whatever way they come, and any of them survives the wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live import events
from tests.live.rows import NOON, make_row, rows


def merged(some: list[events.Row]) -> events.Row:
    result = some[0]
    for row in some[1:]:
        result = events.merge(result, row)
    return result


@settings(max_examples=60)
@given(st.lists(rows(), min_size=1, max_size=5), st.data())
def test_any_order_and_repetition_of_rows_merges_to_the_same_row(some: list[events.Row], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(some), max_size=4))
    shuffled = data.draw(st.permutations(some + again))

    there, back = merged(some), merged(shuffled)

    assert there == back


@settings(max_examples=60)
@given(st.lists(rows(), min_size=3, max_size=5), st.data())
def test_any_grouping_of_rows_merges_to_the_same_row(some: list[events.Row], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(some) - 1))

    grouped = events.merge(merged(some[:cut]), merged(some[cut:]))

    assert grouped == merged(some)


@given(rows())
def test_a_row_merged_with_itself_is_the_same_row(row: events.Row) -> None:
    assert events.merge(row, row) == row


@given(st.lists(rows(ids=st.sampled_from(["a", "b", "c"])), max_size=8))
def test_merging_batches_keeps_runs_apart_and_in_their_order(some: list[events.Row]) -> None:
    found = events.merge_all(some)

    assert list(found) == list(dict.fromkeys(row.id for row in some))
    assert all(merged([row for row in some if row.id == run_id]) == found[run_id] for run_id in found)


@given(st.lists(rows(), min_size=1, max_size=6), rows())
def test_once_final_only_a_later_attempt_changes_the_state(some: list[events.Row], late: events.Row) -> None:
    before = merged(some)

    after = events.merge(before, late)

    if before.final and after.state != before.state:
        is_earlier_end = late.final and late.version.moment <= before.version.moment
        assert late.version.attempt > before.version.attempt or is_earlier_end


@pytest.mark.parametrize(
    ("early", "late"),
    [
        (make_row(state="running", moment=5), make_row(state="queued", moment=9)),
        (make_row(state="succeeded", moment=5), make_row(state="running", moment=9)),
        (make_row(state="failed", moment=5), make_row(state="succeeded", moment=9)),
        (make_row(state="cancelled", moment=5), make_row(state="lost", moment=9)),
        (make_row(state="running", attempt=2, moment=5), make_row(state="succeeded", attempt=1, moment=9)),
        (make_row(state="retrying", moment=5), make_row(state="running", moment=4)),
    ],
    ids=lambda row: f"{row.state}-{row.attempt}",
)
def test_what_comes_late_does_not_undo_what_is_known(early: events.Row, late: events.Row) -> None:
    assert events.merge(early, late).state == early.state


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (make_row(state="lost", moment=5), make_row(state="succeeded", moment=9)),
        (make_row(state="lost", moment=5), make_row(state="running", moment=9)),
        (make_row(state="failed", moment=5), make_row(state="running", attempt=2, moment=9)),
        (make_row(state="queued", moment=9), make_row(state="running", moment=5)),
    ],
    ids=lambda row: f"{row.state}-{row.attempt}",
)
def test_a_run_goes_on_where_it_may(first: events.Row, second: events.Row) -> None:
    assert events.merge(first, second).state == second.state


def test_an_end_that_does_not_know_the_progress_keeps_it() -> None:
    progress = events.Progress(3, 10, "rows", at=7)
    running = make_row(state="running", moment=5, progress=progress)
    ended = make_row(state="cancelled", moment=9)

    assert events.merge(running, ended).progress == progress


def test_a_second_delivery_does_not_move_the_bar_of_a_run_that_has_ended() -> None:
    ended = events.at_the_end(make_row(state="succeeded", moment=9, progress=events.Progress(10, 10, at=8)))
    again = make_row(moment=20, progress=events.Progress(3, 10, at=25))
    second = events.at_the_end(make_row(state="failed", moment=30, progress=events.Progress(4, 10, at=29)))

    for rows_in_some_order in ([ended, again, second], [second, again, ended], [again, ended, second]):
        shown = merged(rows_in_some_order)
        assert shown.progress and (shown.state, shown.progress.current) == ("succeeded", 10)


@pytest.mark.parametrize("state", ["running", "retrying", "lost"])
def test_a_run_that_may_go_on_is_dated_as_it_was(state: str) -> None:
    row = make_row(state=state, progress=events.Progress(3, at=8))

    assert events.at_the_end(row) == row


def test_an_earlier_attempt_leaves_no_progress_to_a_later_one() -> None:
    first = make_row(state="retrying", attempt=1, progress=events.Progress(9, 10, at=7))
    second = make_row(state="running", attempt=2, moment=9)

    assert events.merge(first, second).progress is None


def test_progress_that_was_said_earlier_does_not_come_back() -> None:
    newest = make_row(progress=events.Progress(3, 10, at=8))
    late = make_row(progress=events.Progress(8, 10, at=3))

    assert events.merge(newest, late).progress == newest.progress


def test_two_rows_whose_clocks_met_merge_to_the_same_either_way() -> None:
    one, other = make_row(worker="one", moment=5), make_row(worker="other", moment=5)

    assert events.merge(one, other) == events.merge(other, one)


def test_progress_of_unknown_total_and_of_total_minus_one_are_told_apart() -> None:
    one = make_row(progress=events.Progress(1, None, at=5))
    other = make_row(progress=events.Progress(1, -1.0, at=5))

    assert events.merge(one, other) == events.merge(other, one)


@given(st.lists(rows(), max_size=5))
def test_any_rows_survive_the_wire(some: list[events.Row]) -> None:
    assert events.decode_rows(events.encode_rows(some)) == some


@given(st.lists(rows(), max_size=3))
def test_the_wire_is_json_of_the_standard(some: list[events.Row]) -> None:
    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is on the wire")

    text = events.encode_rows(some).decode("utf-8", "strict")

    assert isinstance(json.loads(text, parse_constant=refuse), list)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_no_word_for_becomes_null(number: float) -> None:
    assert events.encode({"value": number}) == b'{"value":null}'


def test_a_row_on_the_wire_has_the_fields_that_were_agreed() -> None:
    fields = json.loads(events.encode(make_row(progress=events.Progress(3, 10, "rows", "reading", 5))))

    assert " ".join(fields) == (
        "id task title link state kind schedule queue worker owner attempt progress args kwargs result error queued_at"
        " received_at started_at finished_at eta parent root group version"
    )
    assert fields["progress"] == {"current": 3, "total": 10, "unit": "rows", "message": "reading", "at": 5}
    assert (fields["queued_at"], fields["version"]) == ("2026-03-01T12:00:00Z", [1, 1, 1])


def test_a_huge_text_survives_the_wire() -> None:
    row = make_row(result="🙂" * 1_000_000)

    assert events.decode_rows(events.encode_rows([row])) == [row]


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b"[" * 100_000, b'[{"id":1}]', b"[{}]"])
def test_an_entry_that_nobody_can_read_is_named_and_left_out(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    found = events.decode_entry(7, data)

    assert found == []
    assert "Entry 7" in caplog.text


def test_one_row_that_nobody_can_read_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    good = events.encode(make_row()).decode()
    broken = good.replace('"run-1"', "null")

    found = events.decode_entry(7, f"[{broken},{good}]")

    assert found == [make_row()]
    assert "Entry 7" in caplog.text


def test_fields_of_a_newer_release_do_no_harm() -> None:
    data = events.encode_rows([make_row()]).replace(b'"task"', b'"mood":"fine","task"')

    assert events.decode_rows(data) == [make_row()]


def test_lists_are_sorted_newest_first_then_by_id() -> None:
    later = datetime(2026, 3, 1, 13, tzinfo=UTC)
    given_rows = [make_row("b"), make_row("none", queued_at=None), make_row("a"), make_row("new", queued_at=later)]

    ids = [row.id for row in sorted(given_rows, key=events.sort_key)]

    assert ids == ["new", "a", "b", "none"]


def test_the_states_are_those_that_were_agreed() -> None:
    assert events.STATES == ("queued", "received", "running", "retrying", "succeeded", "failed", "cancelled", "lost")
    assert {state for state in events.STATES if make_row(state=state).final} == {"succeeded", "failed", "cancelled"}
    assert events.ENDED - events.FINAL == {"lost"}


def test_a_progress_and_an_error_cannot_be_changed_by_whoever_shares_them() -> None:
    with pytest.raises(AttributeError):
        events.Progress(1).current = 2  # type: ignore[misc]

    with pytest.raises(AttributeError):
        events.Error("a", "b").type = "c"  # type: ignore[misc]


def test_times_are_kept_to_the_microsecond() -> None:
    moment = NOON.replace(microsecond=123_457)

    assert msgspec.json.decode(events.encode(moment), type=datetime) == moment
