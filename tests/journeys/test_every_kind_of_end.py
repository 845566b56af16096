"""Every way a task can go, through a real worker: what Celery's signals say, told as one state per run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from live import events
from tests.harness.live_socket import LiveSocket
from tests.harness.stack import Stack
from tests.harness.wait import until

ORDER = ["queued", "received", "running"]


@dataclass
class Way:
    """A task, how it is sent, and how its run must end."""

    task: str
    state: str
    args: list[Any] = field(default_factory=list)
    error: str = ""
    attempt: int = 1
    result: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


WAYS = {
    "succeeds": Way("journey.add", "succeeded", [1, 2], result="3"),
    "fails": Way("journey.fail", "failed", ["no such charge"], error="ValueError"),
    "is retried": Way("journey.retry", "succeeded", [1], attempt=2, result="after 1 retries"),
    "gives up": Way("journey.give_up", "failed", error="ConnectionError", attempt=2),
    "asks to be ignored": Way("journey.ignore", "cancelled", error="Ignore"),
    "rejects its message": Way("journey.reject", "failed", error="Reject"),
    "runs into the hard limit": Way("journey.overrun", "failed", error="TimeLimitExceeded"),
    "runs into the soft limit": Way("journey.overrun_soft", "failed", error="SoftTimeLimitExceeded"),
    "returns what JSON cannot say": Way("journey.unserialisable", "failed", error="EncodeError"),
    "returns NaN": Way("journey.not_a_number", "succeeded", result="null"),
    "is known to no worker": Way("journey.nobody_knows", "failed", error="NotRegistered"),
    "expired": Way("journey.add", "cancelled", [1, 2], error="Expired", options={"expires": -1}),
    "waits for its countdown": Way("journey.add", "succeeded", [1, 2], result="3", options={"countdown": 1.5}),
}


@pytest.fixture(scope="module")
def watched(stack: Stack) -> Iterator[LiveSocket]:
    """A socket that watches from before the first run on."""
    with LiveSocket(stack.origin, stack.ask("log_in", "admin")) as socket:
        socket.subscribe(limit=200)
        yield socket


@pytest.fixture(scope="module")
def sent(stack: Stack, watched: LiveSocket) -> dict[str, str]:
    """All ways, sent at once by the clerk; the ids by way."""
    return {name: stack.send(way.task, *way.args, owner="clerk", **way.options) for name, way in WAYS.items()}


@pytest.mark.parametrize("name", WAYS)
def test_a_run_ends_as_its_task_does(name: str, stack: Stack, watched: LiveSocket, sent: dict[str, str]) -> None:
    way = WAYS[name]

    row = stack.wait_for_state(sent[name], *events.FINAL, seconds=60)

    assert (row["state"], row["attempt"]) == (way.state, way.attempt)
    assert (row["error"] or {}).get("type", "") == way.error
    assert way.result is None or (row["result"] or "").strip("\"'") == way.result
    assert (row["owner"], row["kind"], row["task"]) == ("clerk", "ad_hoc", way.task)
    assert row["finished_at"] >= (row["started_at"] or row["queued_at"])


@pytest.mark.parametrize("name", WAYS)
def test_a_socket_sees_a_run_go_forward_only_and_end_once(
    name: str, stack: Stack, watched: LiveSocket, sent: dict[str, str]
) -> None:
    row = stack.wait_for_state(sent[name], *events.FINAL, seconds=60)

    watched.wait_for_state(sent[name], row["state"], seconds=30)

    seen = watched.seen[sent[name]]
    assert [state for state in seen if state in events.FINAL] == [row["state"]]
    before_retry = seen[: seen.index("retrying")] if "retrying" in seen else seen[:-1]
    assert before_retry == [state for state in ORDER if state in before_retry]


@pytest.mark.parametrize("name", WAYS)
def test_database_and_socket_say_the_same_of_a_run(
    name: str, stack: Stack, watched: LiveSocket, sent: dict[str, str]
) -> None:
    stack.wait_for_state(sent[name], *events.FINAL, seconds=60)
    watched.wait_for_state(sent[name], *events.FINAL, seconds=30)

    until(lambda: stack.ask("run", sent[name]) == watched.rows[sent[name]], "both to be equal", 5)


def test_a_failure_carries_its_traceback(stack: Stack, sent: dict[str, str]) -> None:
    error = stack.wait_for_state(sent["fails"], "failed", seconds=60)["error"]

    assert error["message"] == "no such charge"
    assert "in fail" in error["traceback"]


def test_each_try_of_a_retried_run_is_an_attempt(stack: Stack, sent: dict[str, str]) -> None:
    stack.wait_for_state(sent["is retried"], "succeeded", seconds=60)

    first, second = stack.ask("attempts", sent["is retried"])

    assert (first["number"], first["error"]["type"]) == (1, "ConnectionError")
    assert (second["number"], second["state"], second["error"]) == (2, "succeeded", None)
    assert second["started_at"] > first["started_at"]


def test_a_run_with_a_countdown_says_when_it_is_due_and_starts_no_sooner(stack: Stack, sent: dict[str, str]) -> None:
    row = stack.wait_for_state(sent["waits for its countdown"], "succeeded", seconds=60)

    due = datetime.fromisoformat(row["eta"])
    queued = datetime.fromisoformat(row["queued_at"])
    assert timedelta(seconds=1) < due - queued < timedelta(seconds=2)
    assert datetime.fromisoformat(row["started_at"]) >= due - timedelta(milliseconds=50)


def test_a_run_with_an_eta_waits_as_received_and_can_be_revoked(stack: Stack, watched: LiveSocket) -> None:
    eta = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    run_id = stack.send("journey.add", 1, 1, eta=eta)
    row = stack.wait_for_state(run_id, "received")
    assert datetime.fromisoformat(row["eta"]) == datetime.fromisoformat(eta)

    stack.ask("revoke", run_id)

    # Celery looks at a revoked run with an ETA when it is due; asking for it to be terminated changes nothing.
    assert stack.ask("run", run_id)["state"] == "received"


def test_a_run_revoked_before_it_starts_is_cancelled_and_never_runs(stack: Stack, watched: LiveSocket) -> None:
    busy = [stack.send("journey.wait", "revoke-busy") for _ in range(2)]
    stack.gates.wait_for_arrival("revoke-busy", times=2)
    run_id = stack.send("journey.wait", "never")
    watched.wait_for_state(run_id, "queued", "received")

    stack.ask("revoke", run_id)
    stack.gates.open("revoke-busy")

    row = stack.wait_for_state(run_id, "cancelled")
    assert (row["error"]["type"], row["started_at"]) == ("Revoked", None)
    assert stack.gates.arrivals("never") == 0
    assert {stack.wait_for_state(run, *events.FINAL)["state"] for run in busy} == {"succeeded"}


def test_a_run_terminated_while_it_runs_is_cancelled_and_stays_so(stack: Stack, watched: LiveSocket) -> None:
    run_id = stack.send("journey.wait", "terminated")
    stack.gates.wait_for_arrival("terminated")

    stack.ask("revoke", run_id, terminate=True)

    row = stack.wait_for_state(run_id, "cancelled")
    assert row["error"]["type"] == "Terminated"
    assert row["started_at"]
    after = stack.send("journey.add", 1, 1)
    stack.wait_for_state(after, "succeeded")
    watched.wait_for_state(after, "succeeded")
    assert watched.seen[run_id][-1] == "cancelled"


def test_a_run_that_ends_its_process_fails(stack: Stack) -> None:
    run_id = stack.send("journey.exits")

    assert stack.wait_for_state(run_id, *events.ENDED)["error"]["type"] == "WorkerLostError"


def test_the_hard_limit_is_said_once_however_often_celery_says_it(stack: Stack, sent: dict[str, str]) -> None:
    row = stack.wait_for_state(sent["runs into the hard limit"], "failed", seconds=60)

    finals = [one for one in stack.ask("history", row["id"]) if one["state"] in events.FINAL]

    assert {one["state"] for one in finals} == {"failed"}
    assert row["finished_at"] == finals[0]["finished_at"]
    assert len(stack.ask("attempts", row["id"])) == 1


def test_existing_update_state_moves_the_bar_and_is_stored_as_before(stack: Stack, watched: LiveSocket) -> None:
    run_id = stack.send("journey.update_state", "reports")

    for current in (1, 2, 3):
        stack.gates.wait_for_arrival(f"reports.{current}")
        said = {"current": current, "total": 3}
        until(lambda said=said: said.items() <= _progress(watched, run_id).items(), f"progress {said}")  # type: ignore[misc]
        assert watched.rows[run_id]["state"] == "running"
        assert stack.ask("results", run_id) == "PROGRESS"
        stack.gates.open(f"reports.{current}")

    row = stack.wait_for_state(run_id, "succeeded")
    assert (row["progress"]["current"], row["progress"]["total"]) == (3, 3)


def _progress(socket: LiveSocket, run_id: str) -> dict[str, Any]:
    socket.drain()
    return socket.rows.get(run_id, {}).get("progress") or {}
