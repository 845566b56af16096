"""What a user may not see leaves the server through no door."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus

from tests.harness.live_socket import LiveSocket
from tests.harness.stack import Stack

#: Sessions are looked at again every LIVE_RECHECK_S (here 2 s).
RECHECK_S = 30
SECRET = "for the clerk's eyes only"


@pytest.fixture
def others_socket(stack: Stack) -> Iterator[LiveSocket]:
    """A socket of `other`, who owns nothing of the clerk's."""
    with LiveSocket(stack.origin, stack.ask("log_in", "other")) as socket:
        yield socket


def get(stack: Stack, address: str, username: str) -> tuple[int, str]:
    """Get a page as a user; return status and text."""
    headers = {"Cookie": f"sessionid={stack.ask('log_in', username)}"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(stack.origin + address, headers=headers), timeout=10
        ) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_list_on_the_socket_holds_only_own_runs(stack: Stack, others_socket: LiveSocket) -> None:
    before = stack.send("journey.fail", SECRET, owner="clerk", title=SECRET)
    stack.wait_for_state(before, "failed")
    snapshot = others_socket.subscribe(limit=200)

    while_watching = stack.send("journey.fail", SECRET, owner="clerk", title=SECRET)
    own = stack.send("journey.add", 1, 1, owner="other")

    others_socket.wait_for_state(own, "succeeded")
    assert stack.wait_for_state(while_watching, "failed")
    after = stack.send("journey.add", 1, 1, owner="other")
    others_socket.wait_for_state(after, "succeeded")
    assert SECRET not in json.dumps(others_socket.frames)
    assert set(others_socket.seen) >= {own, after}
    assert before not in others_socket.seen and while_watching not in others_socket.seen
    assert sum(snapshot["counts"].values()) == len(snapshot["runs"])


def test_asking_for_anothers_run_reads_like_asking_for_none(stack: Stack, others_socket: LiveSocket) -> None:
    run_id = stack.send("journey.wait", "unseen", owner="clerk", title=SECRET)
    stack.wait_for_state(run_id, "running")

    theirs = others_socket.subscribe_and_hear(f"run:{run_id}", "a")
    nobodys = others_socket.subscribe_and_hear("run:00000000-0000-0000-0000-000000000000", "a")
    stack.gates.open("unseen")
    stack.wait_for_state(run_id, "succeeded")
    own = stack.send("journey.add", 1, 1, owner="other")
    others_socket.subscribe(f"run:{own}", "b")
    others_socket.wait_for_state(own, "succeeded")

    assert _without_seq(theirs) == _without_seq(nobodys)
    assert run_id not in others_socket.seen
    assert SECRET not in json.dumps(others_socket.frames)


def test_a_filter_opens_no_door(stack: Stack, others_socket: LiveSocket) -> None:
    run_id = stack.send("journey.add", 1, 1, owner="clerk", title=SECRET)
    stack.wait_for_state(run_id, "succeeded")

    snapshot = others_socket.subscribe(filter={"owner": "clerk", "q": run_id})

    assert snapshot["runs"] == []
    assert sum(snapshot["counts"].values()) == 0


@pytest.mark.parametrize("address", ["/live/", "/live/?owner=clerk", "/live/?q=eyes", "/live/runs/{id}/"])
def test_no_page_shows_anothers_run(address: str, stack: Stack) -> None:
    run_id = stack.send("journey.add", 1, 1, owner="clerk", title=SECRET)
    stack.wait_for_state(run_id, "succeeded")

    theirs, page = get(stack, address.format(id=run_id), "other")
    own, own_page = get(stack, address.format(id=run_id), "clerk")

    assert run_id not in page.replace(address.format(id=run_id)[1:], "")
    assert "clerk&#x27;s eyes" not in page and SECRET not in page
    assert (theirs, own) == ((404, 200) if "/runs/" in address else (200, 200))
    assert run_id in own_page


def test_the_clerk_sees_own_runs_and_the_operator_all(stack: Stack) -> None:
    run_id = stack.send("journey.add", 1, 1, owner="clerk")
    stack.wait_for_state(run_id, "succeeded")

    for username in ("clerk", "admin"):
        with LiveSocket(stack.origin, stack.ask("log_in", username)) as socket:
            assert [row["id"] for row in socket.subscribe(f"run:{run_id}")["runs"]] == [run_id]
            assert run_id in [row["id"] for row in socket.subscribe(sub="b", limit=200)["runs"]]


def test_a_socket_is_closed_after_logout_and_told_4001_when_it_comes_back(stack: Stack) -> None:
    session_key = stack.ask("log_in", "clerk")
    with LiveSocket(stack.origin, session_key) as socket:
        socket.subscribe()

        stack.ask("log_out", session_key)

        assert socket.wait_for_close(RECHECK_S)[0] == 4000
    with LiveSocket(stack.origin, session_key) as socket:
        assert socket.wait_for_close()[0] == 4001


def test_a_right_that_is_taken_away_ends_on_the_open_socket_too(stack: Stack) -> None:
    stack.ask("make_user", "demoted", sees_all=True)
    run_id = stack.send("journey.add", 1, 1, owner="clerk")
    stack.wait_for_state(run_id, "succeeded")
    with LiveSocket(stack.origin, stack.ask("log_in", "demoted")) as socket:
        assert run_id in [row["id"] for row in socket.subscribe(limit=200)["runs"]]

        stack.ask("take_rights", "demoted")

        socket.wait_for_loss_of(run_id, RECHECK_S)


def test_nobody_gets_no_socket(stack: Stack) -> None:
    with LiveSocket(stack.origin) as socket:
        assert socket.wait_for_close()[0] == 4001


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null", "http://["])
def test_another_origin_gets_no_socket(origin: str, stack: Stack) -> None:
    session_key = stack.ask("log_in", "clerk")

    with pytest.raises(InvalidStatus) as refused:
        LiveSocket(stack.origin, session_key, claimed_origin=origin)

    assert refused.value.response.status_code in (400, 403)


def _without_seq(frame: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in frame.items() if name not in ("seq", "epoch")}
