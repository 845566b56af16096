"""Runs that send runs: chains, groups, chords and tasks in tasks keep their owner, parent and root."""

from __future__ import annotations

from typing import Any

from tests.harness.stack import Stack
from tests.harness.wait import until

Row = dict[str, Any]
LOOKS_S = 16


def family(stack: Stack, count: int, **wanted: str) -> list[Row]:
    """Return the runs of the clerk's newest family once all of them have ended, oldest first."""

    def ended() -> list[Row] | None:
        rows = [row for row in stack.ask("page", "clerk", 200) if all(row[key] == wanted[key] for key in wanted)]
        return rows if len(rows) == count and all(row["finished_at"] for row in rows) else None

    return sorted(until(ended, f"{count} runs with {wanted}", 30, stack.tails), key=lambda row: row["queued_at"])


def with_parents(stack: Stack, last_id: str) -> list[Row]:
    """Return a run and the runs that it came from, the first one first."""
    rows: list[Row] = []
    run_id: str | None = last_id
    while run_id:
        rows.insert(0, stack.wait_for_state(run_id, "succeeded", "failed"))
        run_id = rows[0]["parent"]
    return rows


def test_the_links_of_a_chain_are_children_with_the_owner_of_the_first(stack: Stack) -> None:
    last_id = stack.ask("send_canvas", "chain", owner="clerk")

    first, second, third = with_parents(stack, last_id)

    assert [row["kind"] for row in (first, second, third)] == ["ad_hoc", "child", "child"]
    assert {row["owner"] for row in (first, second, third)} == {"clerk"}
    assert (first["root"], second["root"], third["root"]) == (None, first["id"], first["id"])
    assert (second["parent"], third["parent"]) == (first["id"], second["id"])
    assert third["result"] == "7"


def test_the_members_of_a_group_share_its_id(stack: Stack) -> None:
    group_id = stack.ask("send_canvas", "group", owner="clerk")

    members = family(stack, 3, group=group_id)

    assert {(row["kind"], row["owner"], row["state"]) for row in members} == {("ad_hoc", "clerk", "succeeded")}
    assert sorted(row["result"] for row in members) == ["1", "2", "3"]


def test_the_body_of_a_chord_is_a_child_with_the_owner_of_its_header(stack: Stack) -> None:
    body_id = stack.ask("send_canvas", "chord", owner="clerk")

    body = stack.wait_for_state(body_id, "succeeded")

    assert (body["kind"], body["owner"], body["result"]) == ("child", "clerk", "6")


def test_a_chain_that_breaks_leaves_no_run_that_waits_for_ever(stack: Stack) -> None:
    last_id = stack.ask("send_canvas", "broken chain", owner="clerk")

    def broken() -> list[Row]:
        rows: list[Row] = stack.ask("page", "clerk", 200, task="journey.fail")
        return [row for row in rows if row["state"] == "failed" and row["error"]["message"] == "first"]

    assert until(broken, "the first link to fail")
    assert stack.ask("run", last_id) is None


def test_tasks_sent_by_a_task_are_its_children_and_inherit_its_owner(stack: Stack) -> None:
    parent_id = stack.send("journey.children", 2, owner="clerk")
    stack.wait_for_state(parent_id, "succeeded")

    def children() -> list[Row] | None:
        rows = [row for row in stack.ask("page", "clerk", 200) if row["parent"] == parent_id]
        return rows if len(rows) == 2 and all(row["state"] == "succeeded" for row in rows) else None

    for child in until(children, "both children to succeed"):
        assert (child["kind"], child["owner"], child["root"]) == ("child", "clerk", parent_id)


def test_a_group_sent_by_a_task_is_its_children(stack: Stack) -> None:
    parent_id = stack.send("journey.chunk", 3, owner="clerk")
    group_id = stack.wait_for_state(parent_id, "succeeded")["result"].strip("\"'")

    members = family(stack, 3, group=group_id)

    assert {(row["kind"], row["owner"], row["parent"]) for row in members} == {("child", "clerk", parent_id)}


def test_a_task_replaced_by_a_chain_ends_with_the_result_of_the_chain(stack: Stack) -> None:
    run_id = stack.send("journey.replaced", owner="clerk")

    row = stack.wait_for_state(run_id, "succeeded")

    assert (row["result"], row["owner"]) == ("6", "clerk")


def test_a_replaced_run_is_not_lost_while_others_do_its_work_and_fails_with_them(stack: Stack) -> None:
    run_id = stack.send("journey.replaced_slowly", "replaced", owner="clerk")
    stack.gates.wait_for_arrival("replaced", seconds=30)
    # The sweeper looks every 3 s, believes two looks, and gives a run 5 s.
    stack.wait_for_state(stack.send("journey.pause", LOOKS_S), "succeeded", seconds=60)

    assert (stack.ask("run", run_id)["state"], stack.ask("run", run_id)["worker"]) == ("running", "")
    stack.gates.open("replaced")

    row = stack.wait_for_state(run_id, "failed", seconds=30)
    assert row["error"]["type"] == "ValueError"


def test_a_run_that_nobody_asked_for_has_no_owner(stack: Stack) -> None:
    run_id = stack.ask("delay", "tests.harness.tasks.add", 1, 1)

    row = stack.wait_for_state(run_id, "succeeded")

    assert (row["owner"], row["kind"]) == ("", "ad_hoc")
    assert run_id not in [row["id"] for row in stack.ask("page", "clerk", 200)]


def test_a_title_given_by_the_sender_is_shown(stack: Stack) -> None:
    run_id = stack.send("journey.add", 1, 1, title="Import of march.txt")

    assert stack.wait_for_state(run_id, "succeeded")["title"] == "Import of march.txt"
