"""The recorder is killed in the middle of its work, again and again: no row is lost, none lands twice."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.harness.stack import MakeStack, Stack
from tests.harness.wait import until

RUNS = 400
KILLS = 4


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """A stack whose recorder is a process of its own."""
    return make_stack("worker", "recorder", LIVE_EMBED_RECORDER=False, LIVE_LEASE_S=2)


def test_no_row_is_lost_or_doubled_when_the_recorder_is_killed(stack: Stack) -> None:
    ids: list[str] = []

    for _ in range(KILLS):
        before = stack.ask("position")
        ids += stack.ask("send", "journey.add", [1, 1], times=RUNS // KILLS)
        until(lambda before=before: before < stack.ask("position"), "some to be recorded")  # type: ignore[misc]
        stack.kill("recorder")
        stack.start("recorder")

    until(lambda: stack.ask("states", id__in=ids).get("succeeded") == RUNS, "all to succeed", 90, stack.tails)
    recorded = [row for row in stack.ask("query", "SELECT id, state, attempt FROM live_run") if row[0] in ids]
    assert Counter(run_id for run_id, _, _ in recorded) == Counter(ids)
    assert {(state, attempt) for _, state, attempt in recorded} == {("succeeded", 1)}
    tried = [row for row in stack.ask("query", "SELECT run_id, number, state FROM live_attempt") if row[0] in ids]
    assert Counter(run_id for run_id, _, _ in tried) == Counter(ids)


def test_what_the_log_says_is_what_the_database_says(stack: Stack) -> None:
    ids = stack.ask("send", "journey.retry", [1], times=10)
    for run_id in ids:
        stack.wait_for_state(run_id, "succeeded")

    merged = stack.ask("merged_log")

    recorded = stack.ask("runs", list(merged))
    assert {run_id: recorded[run_id] for run_id in merged} == merged
