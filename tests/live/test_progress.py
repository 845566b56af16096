"""What a task says of how far it has come: in a worker it is shown, elsewhere it does nothing."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Task, current_app

from live import events, progress, publish
from tests.harness.processes import Process
from tests.harness.wait import until
from tests.live.workers import history, wait_for

FINAL = ("succeeded", "failed")


def send(task: str, *args: Any, queue: str = "unit") -> str:
    """Send a task by name, as whoever does not have its code."""
    return str(current_app.send_task(task, args, queue=queue).id)


@pytest.fixture(params=["unit", "unit-threads"])
def queue(request: pytest.FixtureRequest, worker: Process, thread_worker: Process) -> str:
    """The queue of a worker, whatever its pool."""
    return str(request.param)


def shown(row: events.Row) -> tuple[Any, ...]:
    """Return a row's progress without its clock."""
    assert row.progress is not None
    return (row.progress.current, row.progress.total, row.progress.unit, row.progress.message)


def test_outside_a_worker_a_bar_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "publisher", lambda: pytest.fail("something was announced"))

    with progress.bar(total=3, unit="rows") as bar:
        bar.advance()
        bar.set(2, total=5)
        bar.message("reading")

    assert (bar.current, bar.total) == (2, 5)


def test_outside_a_worker_a_loop_goes_on_as_it_was() -> None:
    assert list(progress.track("abc", unit="letters")) == ["a", "b", "c"]
    assert list(progress.track(iter("abc"))) == ["a", "b", "c"]
    assert list(progress.track([])) == []


def test_outside_a_worker_what_a_loop_raises_comes_through() -> None:
    def lines() -> Any:
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(progress.track(lines()))


def test_a_bar_that_was_never_opened_does_nothing() -> None:
    bar = progress.bar()

    bar.advance(3)

    assert bar.current == 3


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (float("nan"), 0),
        (float("inf"), 0),
        (10**400, 0),
        (2**64, 0),
        (None, 0),
        ("many", 0),
        (True, 0),
        (-5, -5),
        (2.5, 2.5),
    ],
    ids=repr,
)
def test_only_a_number_that_the_wire_can_carry_is_shown(given: Any, number: float) -> None:
    bar = progress.bar(total=given, unit=given, message=given)

    bar.set(given, total=given)
    bar.message(given)
    said = bar.snapshot()

    assert said.current == number
    assert said.total == (number or None)
    assert b"null" not in events.encode(said.current)
    assert len(said.message) <= 255


def test_a_bar_moves_and_ends_where_it_stopped(queue: str) -> None:
    run_id = send("unit.bar", [["advance", 2], ["message", "reading"], ["advance", 1], ["set", 7, 20]], queue=queue)

    row = wait_for(run_id, *FINAL)

    assert (row.state, shown(row)) == ("succeeded", (7, 20, "rows", "reading"))


@pytest.mark.parametrize("steps", [[["advance", 1e400]], [["set", 10**30, 10**30]], [["message", "x" * 100_000]]])
def test_what_cannot_be_shown_does_not_hurt_the_run(worker: Process, steps: Any) -> None:
    run_id = send("unit.bar", steps)

    assert wait_for(run_id, *FINAL).state == "succeeded"


def test_few_progresses_leave_the_process_and_the_last_does(queue: str) -> None:
    run_id = send("unit.fast", 600, queue=queue)

    row = wait_for(run_id, *FINAL)

    assert shown(row)[:2] == (600, 600)
    assert row.started_at and row.finished_at
    elapsed_s = (row.finished_at - row.started_at).total_seconds()
    moving = [row for row in history(run_id) if row.state == "running" and row.progress]
    assert 2 <= len(moving) <= 10 * elapsed_s + 2
    assert [row.progress.current for row in moving if row.progress] == sorted(
        row.progress.current for row in moving if row.progress
    )


def test_helping_threads_move_one_bar(worker: Process) -> None:
    run_id = send("unit.helpers")

    assert shown(wait_for(run_id, *FINAL))[0] == 400


def test_a_bar_inside_a_bar_is_shown_while_it_is_open(queue: str) -> None:
    run_id = send("unit.nested", queue=queue)

    row = wait_for(run_id, *FINAL)

    assert shown(row) == (2, 2, "files", "")
    assert {row.progress.unit for row in history(run_id) if row.progress} == {"files", "lines"}


def test_a_run_that_fails_keeps_how_far_it_had_come(worker: Process) -> None:
    run_id = send("unit.nested", True)

    row = wait_for(run_id, *FINAL)

    assert (row.state, shown(row)) == ("failed", (2, 2, "files", ""))


def test_of_two_bars_in_turn_the_second_stays(worker: Process) -> None:
    run_id = send("unit.one_after_another")

    assert shown(wait_for(run_id, *FINAL)) == (3, 3, "second", "")


def test_a_loop_whose_source_breaks_shows_how_far_it_came(worker: Process) -> None:
    run_id = send("unit.broken_iterator")

    row = wait_for(run_id, *FINAL)

    assert (row.state, shown(row)) == ("failed", (2, 5, "lines", ""))
    assert row.error and row.error.type == "OSError"


def test_a_loop_that_is_left_early_shows_how_far_it_came(worker: Process) -> None:
    run_id = send("unit.closed_early")

    row = wait_for(run_id, *FINAL)

    assert (row.state, shown(row)) == ("succeeded", (3, 10, "lines", ""))


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"current": 3, "total": 10}, (3, 10, "", "")),
        ({"current": 3, "total": 10, "unit": "rows", "message": "reading"}, (3, 10, "rows", "reading")),
        ({"current": 3, "total": 10, "percent": 30, "description": "reading"}, (3, 10, "", "reading")),
        ({"status": "reading"}, (0, None, "", "reading")),
        ({"current": "3", "total": None, "message": ["odd"]}, (0, None, "", "['odd']")),
    ],
    ids=str,
)
def test_what_existing_tasks_say_with_update_state_is_shown(worker: Process, meta: Any, said: tuple[Any, ...]) -> None:
    run_id = send("unit.update_state", meta)

    row = wait_for(run_id, *FINAL)

    assert (row.state, shown(row)) == ("succeeded", said)


@pytest.mark.parametrize("meta", [{}, {"file": "x"}, "text", 3, None], ids=repr)
def test_a_state_that_tells_no_progress_shows_none(worker: Process, meta: Any) -> None:
    run_id = send("unit.update_state", meta)

    row = wait_for(run_id, *FINAL)

    assert (row.state, row.progress) == ("succeeded", None)


def test_what_a_task_says_of_another_run_is_not_its_own_progress(worker: Process) -> None:
    other_id = send("unit.bar", [["advance", 1]])
    wait_for(other_id, *FINAL)

    run_id = send("unit.update_other", other_id)

    assert wait_for(run_id, *FINAL).progress is None
    assert shown(wait_for(other_id, *FINAL))[0] == 1


def test_update_state_is_wrapped_once() -> None:
    wrapped = Task.update_state

    progress.connect()

    assert Task.update_state is wrapped
    assert Task.update_state.__name__ == "update_state"


def test_a_second_delivery_of_a_run_that_has_ended_does_not_move_its_bar(queue: str) -> None:
    run_id = send("unit.fast", 20, queue=queue)
    wait_for(run_id, *FINAL)

    current_app.send_task("unit.fast", (5,), queue=queue, task_id=run_id)

    def ends() -> list[events.Row]:
        return [row for row in history(run_id) if row.state in FINAL]

    until(lambda: len(ends()) == 2, "the second delivery to end")
    row = events.merge_all(history(run_id))[run_id]
    assert (row.state, shown(row)[:2]) == ("succeeded", (20, 20))
