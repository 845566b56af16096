"""A page that comes back says up to where it has all: it gets what changed since, and nothing of others' runs."""

from __future__ import annotations

import json

import pytest

from live import queries, topics
from live.feed import FeedKey, list_key
from live.hub import Hub
from tests.live.readers import Announcer, eventually
from tests.live.rows import make_row
from tests.live.subscribers import CLERK, OPERATOR, Socket


async def test_a_socket_that_was_away_gets_what_changed(hub: Hub, announce: Announcer) -> None:
    socket = Socket(hub)
    for number in range(3):
        await announce.tell(make_row(f"run-{number}", "queued"))
    await eventually(lambda: hub.seq == 3, "the news")
    await socket.subscribe()
    socket.read()
    socket.unsubscribe()

    await announce.tell(make_row("run-1", "running"))
    await eventually(lambda: hub.seq == 4, "the news")
    await socket.subscribe(since=socket.page.since)
    frame, _ = socket.outbox.take()

    assert json.loads(frame)["resumed"] is True
    assert [row["id"] for row in json.loads(frame)["runs"]] == ["run-1"]
    assert json.loads(frame)["seq"] == 4


@pytest.mark.parametrize("since", [("another", 1), ("", 0), ("{epoch}", 99), ("{epoch}", -1)])
async def test_a_socket_whose_place_is_not_known_gets_everything(
    hub: Hub, announce: Announcer, since: tuple[str, int]
) -> None:
    await announce.tell(make_row("one", "queued"))
    await eventually(lambda: hub.seq == 1, "the news")
    socket = Socket(hub)

    await socket.subscribe(since=(since[0].format(epoch=hub.epoch_for(OPERATOR)), since[1]))

    assert socket.read() == {"one": "queued"}
    assert socket.kinds == ["snapshot"]


@pytest.mark.parametrize("run_id", ["", "mine", "theirs-3"], ids=["list", "own run", "another's run"])
async def test_whatever_place_is_claimed_no_id_of_anothers_run_is_told(
    hub: Hub, announce: Announcer, run_id: str
) -> None:
    for number in range(6):
        await announce.tell(make_row(f"theirs-{number}", "queued", owner="other"), make_row(f"nobodys-{number}"))
        await announce.tell(make_row("mine", owner="clerk", moment=number + 1))
    await eventually(lambda: hub.seq == 12, "the news")

    told = []
    for seq in range(-1, 14):
        socket = Socket(hub, FeedKey(viewer=CLERK, run_id=run_id, limit=5))
        await socket.subscribe(since=(hub.epoch_for(CLERK), seq))
        socket.read()
        told += socket.frames

    assert len(told) == 15
    assert not [frame for frame in told if "theirs" in frame or "nobodys" in frame]


async def test_what_others_may_not_see_does_not_cost_them_the_whole_list(hub: Hub, announce: Announcer) -> None:
    await announce.tell(make_row("mine", owner="clerk"), make_row("also mine", owner="clerk"))
    await eventually(lambda: hub.seq == 1, "the news")
    socket = Socket(hub, list_key(CLERK, topics.Filter(), 50))
    await socket.subscribe()
    assert len(socket.read()) == 2
    socket.unsubscribe()

    await announce.tell(make_row("theirs", "queued", owner="other"))
    await announce.tell(make_row("mine", "succeeded", owner="clerk", moment=2))
    await eventually(lambda: hub.seq == 3, "the news")
    await socket.subscribe(since=socket.page.since)

    assert socket.read() == {"also mine": "running", "mine": "succeeded"}
    assert [row["id"] for row in json.loads(socket.frames[-1])["runs"]] == ["mine"]


async def test_who_was_away_while_a_run_left_the_list_gets_the_whole(hub: Hub, announce: Announcer) -> None:
    await announce.tell(make_row("ends"), make_row("goes on"))
    await eventually(lambda: hub.seq == 1, "the news")
    socket = Socket(hub, list_key(OPERATOR, topics.Filter(state=("running",)), 50))
    await socket.subscribe()
    assert len(socket.read()) == 2
    socket.unsubscribe()

    await announce.tell(make_row("ends", "succeeded", moment=2))
    await eventually(lambda: hub.seq == 2, "the news")
    await socket.subscribe(since=socket.page.since)

    assert socket.read() == {"goes on": "running"}


async def test_who_gained_the_right_to_see_all_gets_everything(hub: Hub, announce: Announcer) -> None:
    await announce.tell(make_row("mine", "queued", owner="clerk"), make_row("theirs", "queued", owner="other"))
    await eventually(lambda: hub.seq == 1, "the news")
    before = Socket(hub, list_key(CLERK, topics.Filter(), 50))
    await before.subscribe()
    assert before.read() == {"mine": "queued"}

    after = Socket(hub, list_key(queries.Viewer("clerk", sees_all=True), topics.Filter(), 50))
    await after.subscribe(since=before.page.since)

    assert after.read() == {"mine": "queued", "theirs": "queued"}
    assert after.kinds == ["snapshot"]
