"""No worker runs: sending still returns, the run waits where everybody sees it, and is done when a worker comes."""

from __future__ import annotations

import json
import time

import pytest

from tests.harness.live_socket import LiveSocket
from tests.harness.stack import MakeStack, Stack

AT_ONCE_S = 2.0


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """A stack that has no worker yet."""
    return make_stack("web")


def test_a_run_waits_as_queued_until_a_worker_comes(stack: Stack, socket: LiveSocket) -> None:
    socket.subscribe()

    begun = time.monotonic()
    run_id = stack.ask("delay", "billing.tasks.sum_two_numbers", 32, 11)
    took_s = time.monotonic() - begun

    assert took_s < AT_ONCE_S
    row = socket.wait_for_state(run_id, "queued")
    assert (row["task"], json.loads(row["args"])) == ("sum_two_numbers", [32, 11])
    assert (row["started_at"], row["worker"]) == (None, "")
    assert stack.wait_for_state(run_id, "queued")

    stack.start("worker")

    assert socket.wait_for_state(run_id, "succeeded", seconds=40)["result"] == "43"
    assert stack.wait_for_state(run_id, "succeeded")["queued_at"] == row["queued_at"]


def test_sending_to_a_dead_redis_fails_in_seconds_and_says_so(stack: Stack) -> None:
    stack.kill_redis()
    try:
        begun = time.monotonic()
        with pytest.raises(AssertionError, match=r"OperationalError|ConnectionError"):
            stack.ask("delay", "billing.tasks.sum_two_numbers", 1, 1)
        assert time.monotonic() - begun < 2 * AT_ONCE_S
    finally:
        stack.restart_redis()
