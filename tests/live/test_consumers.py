"""The socket against docs/wire.md: each frame as it is written there, through a real server, Redis and database."""

from __future__ import annotations

import re
import socket as sockets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from live import events
from tests.harness.live_socket import LiveSocket
from tests.harness.need import ROOT
from tests.harness.stack import MakeStack, Stack
from tests.live.readers import Announcer, log_of
from tests.live.rows import NOON, make_row

BEAT_S = 0.5
WIRE = Path(ROOT, "docs", "wire.md").read_text()
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture(scope="module")
def web(make_stack: MakeStack) -> Iterator[Stack]:
    """A web server with a recorder; its log holds no traceback when all is over."""
    stack = make_stack("web", LIVE_BEAT_S=BEAT_S, LIVE_HEAD_CHECK_S=0.05, LIVE_MAX_SUBSCRIPTIONS=5)
    stack.ask("make_user", "clerk")
    stack.ask("make_user", "operator", sees_all=True)
    yield stack
    assert "Traceback" not in stack.processes["web"].text()


@pytest.fixture
def announce(web: Stack) -> Iterator[Announcer]:
    """Say rows to the stack's Redis."""
    with log_of(web) as announcer:
        yield announcer


@pytest.fixture
def socket(web: Stack) -> Iterator[LiveSocket]:
    """A socket of the clerk's, which has heard hello."""
    with LiveSocket(web.origin, web.ask("log_in", "clerk")) as socket:
        socket.wait_for(lambda frame: frame["type"] == "hello")
        yield socket


@pytest.fixture
def task(request: pytest.FixtureRequest) -> str:
    """A task's name of this test's own, so that its list holds its own runs only."""
    return str(request.node.name)[:200]


def fields_in_docs(kind: str) -> set[str]:
    """Return the fields that docs/wire.md gives a frame of the server's."""
    example = re.search(rf'server \| `{{"type":"{kind}"(.*)}}`', WIRE)
    assert example
    flat = re.sub(r"\[.*?\]|{.*?}", "0", example[1])
    return {"type", *re.findall(r'"(\w+)":', flat)}


def test_nobody_without_a_cookie_gets_further_than_4001(web: Stack) -> None:
    for key in ("", "garbage", "a" * 32, "a" * 4_000):
        with LiveSocket(web.origin, key) as nobody:
            assert nobody.wait_for_close(5)[0] == 4001
            assert nobody.frames == []


def test_a_key_in_the_address_or_in_another_header_logs_nobody_in(web: Stack) -> None:
    key = web.ask("log_in", "clerk")

    with LiveSocket(web.origin, path=f"/ws/live/?sessionid={key}&token={key}") as nobody:
        assert nobody.wait_for_close(5)[0] == 4001


@pytest.mark.parametrize("origin", ["http://127.0.0.1:1", "https://127.0.0.1", "http://evil.example", "null"])
def test_a_page_of_another_origin_is_refused_with_403(web: Stack, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        LiveSocket(web.origin, web.ask("log_in", "clerk"), claimed_origin=origin)

    assert refused.value.response.status_code == 403


def test_another_scheme_is_another_origin(web: Stack) -> None:
    with pytest.raises(InvalidStatus) as refused:
        LiveSocket(web.origin, web.ask("log_in", "clerk"), claimed_origin=web.origin.replace("http", "https"))

    assert refused.value.response.status_code == 403


def test_hello_says_where_the_log_stands(web: Stack, announce: Announcer) -> None:
    with LiveSocket(web.origin, web.ask("log_in", "clerk")) as first:
        seq = announce(make_row("hello-run", owner="clerk"))
        first.subscribe(limit=200)
        first.wait_for_state("hello-run", "running")
        with LiveSocket(web.origin, web.ask("log_in", "clerk")) as socket:
            hello = socket.wait_for(bool)

    assert set(hello) == fields_in_docs("hello")
    assert (hello["type"], hello["v"], hello["beat_s"], hello["in_contact"]) == ("hello", 1, BEAT_S, True)
    assert hello["epoch"] == announce.log.epoch
    assert hello["seq"] >= seq
    assert all(TIME.fullmatch(hello[name]) for name in ("now", "as_of"))


def test_beats_come_and_say_the_time(socket: LiveSocket) -> None:
    first = socket.wait_for(lambda frame: frame["type"] == "beat", 5)
    second = socket.wait_for(lambda frame: frame["type"] == "beat", 5)

    assert set(first) == fields_in_docs("beat")
    assert first["now"] < second["now"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(second["now"])) < timedelta(seconds=30)


def test_the_snapshot_holds_the_rows_as_documented_newest_first_with_counts(
    socket: LiveSocket, announce: Announcer, task: str
) -> None:
    error = events.Error(type="ValueError", message="no such charge", traceback="Traceback …")
    progress = events.Progress(current=3, total=None, unit="rows", message="reading", at=7)
    announce(
        make_row("old", "failed", owner="clerk", task=task, error=error, queued_at=NOON),
        make_row("new", owner="clerk", task=task, progress=progress, queued_at=NOON + timedelta(minutes=1)),
    )
    socket.subscribe(sub="wait", filter={"task": task})
    socket.wait_for_state("old", "failed")

    snapshot = socket.subscribe(sub="ä" * 64, filter={"task": task, "state": ["running", "failed"]})

    assert set(snapshot) == fields_in_docs("snapshot")
    assert [row["id"] for row in snapshot["runs"]] == ["new", "old"]
    documented = WIRE.split("## The row")[1].split("`")[1].split()
    assert all(list(row) == documented for row in snapshot["runs"])
    new, old = snapshot["runs"]
    assert new["progress"] == {"current": 3, "total": None, "unit": "rows", "message": "reading", "at": 7}
    assert (new["error"], old["progress"]) == (None, None)
    assert old["error"] == {"type": "ValueError", "message": "no such charge", "traceback": "Traceback …"}
    assert new["version"] == [1, 1, 1]
    assert new["queued_at"] == "2026-03-01T12:01:00Z"
    assert snapshot["counts"] == {**dict.fromkeys(events.STATES, 0), "running": 1, "failed": 1}


def test_changes_replace_rows_remove_what_leaves_the_list_and_count_all_states(
    socket: LiveSocket, announce: Announcer, task: str
) -> None:
    snapshot = socket.subscribe(filter={"task": task, "state": ["running"]})
    assert snapshot["runs"] == []

    announce(make_row("one", owner="clerk", task=task, state="queued", phase=0))
    announce(make_row("one", owner="clerk", task=task, moment=2))
    came = socket.wait_for(lambda frame: frame.get("runs"))
    announce(make_row("one", "succeeded", owner="clerk", task=task, moment=3))
    left = socket.wait_for(lambda frame: frame.get("removed"))

    assert set(came) == set(left) == fields_in_docs("changes")
    assert [(row["id"], row["state"]) for row in came["runs"]] == [("one", "running")]
    assert came["counts"]["running"] == 1
    assert (left["runs"], left["removed"]) == ([], ["one"])
    assert (left["counts"]["running"], left["counts"]["succeeded"]) == (0, 1)
    assert snapshot["seq"] < came["seq"] < left["seq"]


def test_a_run_has_its_attempts_and_may_be_asked_for_before_it_is_there(
    socket: LiveSocket, announce: Announcer, task: str
) -> None:
    before = socket.subscribe("run:to/come")

    announce(make_row("to/come", owner="clerk", task=task, worker="w1", started_at=NOON))
    row = socket.wait_for_state("to/come", "running")
    change = socket.frames[-1]

    assert (before["type"], before["runs"], before["attempts"]) == ("snapshot", [], [])
    assert row["worker"] == "w1"
    attempt = {"number": 1, "state": "running", "worker": "w1", "started_at": "2026-03-01T12:00:00Z"}
    assert change["attempts"] == [{**attempt, "finished_at": None, "error": None}]


def test_who_was_away_hears_only_what_changed(web: Stack, announce: Announcer, task: str) -> None:
    key = web.ask("log_in", "clerk")
    asked: dict[str, Any] = {"filter": {"task": task}}
    with LiveSocket(web.origin, key) as socket:
        socket.subscribe(**asked)
        announce(*(make_row(run_id, "queued", owner="clerk", task=task) for run_id in ("kept", "changed")))
        seq = socket.wait_for(lambda frame: "changed" in socket.rows)["seq"]
        epoch = socket.frames[0]["epoch"]
    announce(make_row("changed", "succeeded", owner="clerk", task=task, moment=2))

    with LiveSocket(web.origin, key) as back:
        first = back.subscribe(**asked, since={"epoch": epoch, "seq": seq})
        back.wait_for_state("changed", "succeeded")
        for lost in ({"epoch": "another", "seq": seq}, {"epoch": epoch, "seq": 10**9}, {"epoch": epoch, "seq": -5}):
            assert back.subscribe(**asked, since=lost)["type"] == "snapshot", lost

    assert (first["type"], first["resumed"]) == ("changes", True)
    assert {row["id"] for row in first["runs"]} <= {"changed"}


def test_the_limit_is_held_between_1_and_200_and_is_50_when_left_out(
    web: Stack, socket: LiveSocket, announce: Announcer, task: str
) -> None:
    announce(*(make_row(f"many-{number:03}", owner="clerk", task=task) for number in range(210)))
    answer = socket.subscribe(sub="wait", filter={"task": task})
    if answer["counts"]["running"] != 210:
        socket.wait_for(lambda frame: frame.get("counts", {}).get("running") == 210)

    for limit, shown in ((None, 50), (0, 1), (-5, 1), (1, 1), (200, 200), (201, 200), (10**18, 200)):
        runs = socket.subscribe(filter={"task": task}, limit=limit)["runs"]
        assert len(runs) == shown, limit
        assert [row["id"] for row in runs] == [f"many-{number:03}" for number in range(shown)]


def test_after_unsubscribe_nothing_more_comes_of_it(socket: LiveSocket, announce: Announcer, task: str) -> None:
    socket.subscribe(sub="a", filter={"task": task})
    socket.subscribe(sub="b", filter={"task": task})
    socket.say(type="unsubscribe", sub="a")
    socket.say(type="unsubscribe", sub="never was")
    socket.wait_for(lambda frame: frame["type"] == "beat")

    announce(make_row("later", "queued", owner="clerk", task=task))
    changes = socket.wait_for(lambda frame: frame["type"] == "changes")
    socket.wait_for(lambda frame: frame["type"] == "beat")

    assert changes["sub"] == "b"
    assert [frame["sub"] for frame in socket.frames if frame["type"] == "changes"] == ["b"]
    assert "error" not in {frame["type"] for frame in socket.frames}


def test_subscribing_again_with_a_name_replaces_what_it_meant(
    socket: LiveSocket, announce: Announcer, task: str
) -> None:
    socket.subscribe(sub="a", filter={"task": task})
    socket.subscribe("run:nothing", sub="a")

    announce(make_row("seen-by-none", owner="clerk", task=task))
    socket.subscribe(sub="b", filter={"task": task})
    socket.wait_for_state("seen-by-none", "running")

    assert not [frame for frame in socket.frames if frame["type"] == "changes" and frame["sub"] == "a"]


def test_one_subscription_more_than_allowed_is_an_error_and_a_given_back_one_makes_room(socket: LiveSocket) -> None:
    for number in range(5):
        assert socket.subscribe(sub=str(number))["type"] == "snapshot"

    refused = socket.subscribe_and_hear("runs", "one more")
    assert socket.subscribe(sub="4")["type"] == "snapshot"
    socket.say(type="unsubscribe", sub="0")

    assert (refused["type"], refused["code"]) == ("error", "too_many")
    assert set(refused) == fields_in_docs("error")
    assert socket.subscribe(sub="one more")["type"] == "snapshot"


def test_being_refused_too_many_is_no_bad_frame(socket: LiveSocket) -> None:
    for number in range(5):
        socket.subscribe("run:none", sub=str(number))

    refused = [socket.subscribe_and_hear("run:none", f"more {number}")["code"] for number in range(12)]

    assert refused == ["too_many"] * 12
    assert socket.subscribe(sub="4")["type"] == "snapshot"


def test_own_runs_only_in_snapshots_changes_and_counts(web: Stack, announce: Announcer, task: str) -> None:
    with (
        LiveSocket(web.origin, web.ask("log_in", "clerk")) as clerk,
        LiveSocket(web.origin, web.ask("log_in", "operator")) as operator,
    ):
        for socket in (clerk, operator):
            socket.subscribe(filter={"task": task})
        announce(
            make_row("mine", "queued", owner="clerk", task=task), make_row("theirs", "queued", owner="other", task=task)
        )
        announce(make_row("nobodys", "queued", owner="", task=task))
        operator.wait_for(lambda _: {"mine", "theirs", "nobodys"} <= operator.rows.keys())
        clerk.wait_for_state("mine", "queued")
        snapshot = clerk.subscribe(sub="b", filter={"task": task, "owner": ""})
        others = clerk.subscribe(sub="c", filter={"task": task, "owner": "other"})

    assert set(clerk.seen) == {"mine"}
    assert snapshot["counts"]["queued"] == 1
    assert (others["runs"], sum(others["counts"].values())) == ([], 0)


def test_anothers_run_reads_exactly_like_one_that_is_not_there(
    web: Stack, socket: LiveSocket, announce: Announcer, task: str
) -> None:
    with LiveSocket(web.origin, web.ask("log_in", "operator")) as operator:
        announce(make_row("hidden", owner="other", task=task))
        operator.subscribe("run:hidden")
        operator.wait_for_state("hidden", "running")

        hidden = socket.subscribe("run:hidden", "a")
        missing = socket.subscribe("run:missin", "a")
        socket.subscribe("run:hidden", "b")
        announce(make_row("hidden", "succeeded", owner="other", task=task, moment=2))
        operator.wait_for_state("hidden", "succeeded")
        socket.wait_for(lambda frame: frame["type"] == "beat")
        seqs = {frame.pop("seq") for frame in (hidden, missing)}

    assert hidden == missing
    assert len(seqs) == 1
    assert "hidden" not in socket.seen
    assert [frame["type"] for frame in socket.frames if frame.get("sub") == "b"] == ["snapshot"]


def test_a_socket_that_breaks_off_without_a_word_leaves_nothing(web: Stack, announce: Announcer, task: str) -> None:
    key = web.ask("log_in", "clerk")
    for _ in range(20):
        broken = LiveSocket(web.origin, key)
        broken.say(type="subscribe", sub="a", topic="runs", filter={"task": task})
        broken.socket.socket.shutdown(sockets.SHUT_RDWR)
        broken.socket.close()

    with LiveSocket(web.origin, key) as socket:
        socket.subscribe(filter={"task": task})
        announce(make_row("goes-on", owner="clerk", task=task))
        socket.wait_for_state("goes-on", "running")


def test_any_other_address_is_refused_and_a_stranger_cannot_fill_the_log(web: Stack) -> None:
    for path in ("/", "/ws/", "/ws/other/", "/ws/live", "/ws/live/runs/"):
        with pytest.raises(InvalidStatus) as refused:
            LiveSocket(web.origin, path=path)
        assert refused.value.response.status_code == 403, path
