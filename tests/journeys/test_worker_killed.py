"""The worker is killed: its runs do not stay "running" for ever, and what comes back is done after all."""

from __future__ import annotations

import pytest

from live import events
from tests.harness.live_socket import LiveSocket
from tests.harness.stack import MakeStack, Stack
from tests.harness.wait import until

#: A lost worker is noticed after LIVE_WORKER_GONE_S (here 5 s) and a look every 3 s.
LOST_S = 30


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """A stack whose broker gives back what a killed worker had taken within seconds."""
    return make_stack("web", "worker", LIVE_WORKER_GONE_S=5, visibility_s=15)


def test_a_killed_workers_run_is_lost_and_a_redelivered_one_then_succeeds(stack: Stack, socket: LiveSocket) -> None:
    socket.subscribe()
    taken = stack.send("journey.wait", "killed")
    late = stack.send("journey.wait_late", "late")
    stack.gates.wait_for_arrival("killed")
    stack.gates.wait_for_arrival("late")
    socket.wait_for_state(late, "running")
    ahead = stack.send("journey.add", 1, 1)
    stack.wait_for_state(ahead, "received")

    stack.kill("worker")

    assert socket.wait_for_state(taken, "lost", seconds=LOST_S)["error"]["type"] == "WorkerGone"
    socket.wait_for_state(late, "lost", seconds=LOST_S)
    assert stack.wait_for_state(taken, "lost")
    # The worker had taken this one ahead and not begun it, so its message will go to another.
    assert stack.wait_for_state(ahead, "queued")

    stack.start("worker")
    socket.wait_for_state(late, "running", seconds=60)
    stack.gates.open("late")

    assert socket.wait_for_state(late, "succeeded", seconds=60)["attempt"] == 1
    assert socket.wait_for_state(ahead, "succeeded", seconds=60)["result"] == "2"
    assert socket.seen[late][-3:] == ["lost", "running", "succeeded"]
    # What was acknowledged before it ran is gone for good, and stays visibly so.
    assert stack.ask("run", taken)["state"] == "lost"


def test_a_run_whose_process_is_killed_goes_back_to_the_queue_and_succeeds(stack: Stack, socket: LiveSocket) -> None:
    socket.subscribe()
    run_id = stack.send("journey.wait_requeued", "requeued")
    stack.gates.wait_for_arrival("requeued")

    stack.ask("kill_pool_process", run_id)

    stack.gates.wait_for_arrival("requeued", times=2)
    stack.gates.open("requeued")
    assert socket.wait_for_state(run_id, "succeeded")
    assert stack.wait_for_state(run_id, "succeeded")


def test_no_run_beside_a_killed_process_stays_running_for_ever(stack: Stack) -> None:
    # A process that is killed takes rows with it that it had not yet announced, of runs that Celery finished.
    ids: list[str] = []
    for _ in range(10):
        ids += stack.ask("send", "journey.add", [1, 1], times=10)
        ids += stack.ask("send", "journey.exits", [], times=1)

    def ended() -> dict[str, int]:
        return {state: count for state, count in stack.ask("states", id__in=ids).items() if state in events.ENDED}

    until(lambda: sum(ended().values()) == len(ids), "each to end", LOST_S, lambda: str(stack.ask("states")))
    assert ended()["failed"] == 10
    assert ended()["succeeded"] == 100


def test_a_worker_that_stops_in_order_finishes_its_run_and_loses_none(stack: Stack, socket: LiveSocket) -> None:
    socket.subscribe()
    run_id = stack.send("journey.wait", "warm")
    stack.gates.wait_for_arrival("warm")

    stack.processes["worker"].ask_to_stop()
    waiting = stack.send("journey.add", 1, 1)
    stack.gates.open("warm")

    assert socket.wait_for_state(run_id, "succeeded")
    assert stack.stop("worker") == 0
    stack.start("worker")
    assert socket.wait_for_state(waiting, "succeeded", seconds=40)
    assert "lost" not in socket.seen[run_id] + socket.seen[waiting]
