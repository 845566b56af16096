"""The hub: nothing falls between a reading and the news, one reading serves all, and what failed is not kept."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from django.db import Error

from live import topics
from live.feed import Feed, FeedKey, list_key
from live.hub import Hub, for_loop
from live.models import Run
from tests.live.readers import (
    Announcer,
    eventually,
    give_table_back,
    in_thread,
    leave_layer,
    take_table_away,
    until_listening,
)
from tests.live.rows import make_row
from tests.live.subscribers import CLERK, OPERATOR, RUNS, Gate, Socket, counts, record


async def test_a_subscriber_gets_a_snapshot_and_then_each_change(hub: Hub, announce: Announcer) -> None:
    await announce.tell(make_row("one", "queued"))
    await in_thread(record)
    socket = Socket(hub)

    await socket.subscribe()
    assert socket.read() == {"one": "queued"}
    await announce.tell(make_row("one", "running"))
    await announce.tell(make_row("two", "queued"))

    await eventually(lambda: socket.read() == {"one": "running", "two": "queued"}, "the changes")
    assert socket.kinds[0] == "snapshot"
    assert set(socket.kinds[1:]) == {"changes"}
    assert socket.page.counts["running"] == socket.page.counts["queued"] == 1


async def test_what_is_not_recorded_yet_is_in_the_snapshot(hub: Hub, announce: Announcer) -> None:
    await announce.tell(make_row("recorded", "running"))
    await in_thread(record)
    await announce.tell(make_row("recorded", "succeeded"))
    seq = await announce.tell(make_row("new", "queued"))
    await eventually(lambda: hub.seq == seq, "the news")
    socket = Socket(hub)

    await socket.subscribe()

    assert socket.read() == {"new": "queued", "recorded": "succeeded"}
    assert socket.page.counts["running"] == 0


async def test_rows_that_come_while_the_database_is_read_are_not_missed(
    hub: Hub, announce: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await announce.tell(make_row("before", "running"))
    await in_thread(record)
    gate = Gate(hub, monkeypatch, is_open=False)
    socket = Socket(hub)
    subscribing = asyncio.create_task(socket.subscribe())
    await eventually(lambda: gate.asked == 1, "the reading to begin")

    await announce.tell(make_row("before", "succeeded"))
    seq = await announce.tell(make_row("meanwhile", "queued"))
    await eventually(lambda: hub.seq == seq, "the news")
    await in_thread(record)
    gate.opened.set()
    await subscribing

    assert socket.read() == {"before": "succeeded", "meanwhile": "queued"}
    assert socket.kinds == ["snapshot"]
    assert socket.page.counts == counts("succeeded", "queued")


async def test_a_database_that_is_ahead_of_the_news_is_not_counted_twice(
    hub: Hub, announce: Announcer, settings: Any
) -> None:
    announce(make_row("one", "queued"))
    announce(make_row("two", "running"))
    await in_thread(record)
    socket = Socket(hub)

    await socket.subscribe()
    await announce.tell(make_row("three", "queued"))
    await eventually(lambda: "three" in socket.read(), "the news")

    assert socket.page.counts == counts("queued", "running", "queued")


async def test_two_hundred_subscribers_cost_one_reading(
    hub: Hub, announce: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await announce.tell(make_row("one", "running"))
    await eventually(lambda: hub.seq == 1, "the news")
    gate = Gate(hub, monkeypatch)
    sockets = [Socket(hub) for _ in range(200)]

    await asyncio.gather(*(socket.subscribe() for socket in sockets))
    late = Socket(hub)
    await late.subscribe()

    assert gate.asked == 2, "the position, and the list"
    assert all(socket.read() == {"one": "running"} for socket in [*sockets, late])
    assert {len(socket.kinds) for socket in sockets} == {1}, "nobody hears anything before the snapshot"


async def test_a_change_is_encoded_once_for_all(hub: Hub, announce: Announcer) -> None:
    sockets = [Socket(hub) for _ in range(3)]
    for socket in sockets:
        await socket.subscribe()
        socket.read()

    await announce.tell(make_row("one", "queued"))
    await eventually(lambda: not sockets[0].outbox.empty, "the change")

    frames = {socket.outbox.take()[0] for socket in sockets}
    assert len(frames) == 1


async def test_who_left_costs_nothing_more(hub: Hub, announce: Announcer) -> None:
    first, second = Socket(hub), Socket(hub, list_key(CLERK, topics.Filter(), 5))
    await first.subscribe()
    await second.subscribe()
    other = Socket(hub)
    await other.subscribe()
    assert len(hub.feeds) == 2

    first.unsubscribe()
    second.unsubscribe()
    second.unsubscribe()
    assert list(hub.feeds) == [RUNS]
    other.unsubscribe()

    assert hub.feeds == {}


async def test_a_subscriber_who_leaves_while_the_database_is_read_leaves_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(hub, monkeypatch, is_open=False)
    leaving, staying = Socket(hub), Socket(hub)
    tasks = [asyncio.create_task(socket.subscribe()) for socket in (leaving, staying)]
    await eventually(lambda: gate.asked, "the reading to begin")

    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    gate.opened.set()
    await tasks[1]

    assert staying.read() == {}
    assert list(hub.feeds[RUNS].outboxes) == [staying.outbox]
    staying.unsubscribe()
    assert hub.feeds == {}


async def test_when_the_database_fails_all_who_wait_are_told_and_nothing_is_kept(
    hub: Hub, announce: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(hub, monkeypatch)
    sockets = [Socket(hub) for _ in range(20)]
    await in_thread(take_table_away, "live_run")
    try:
        answers = await asyncio.gather(*(socket.subscribe() for socket in sockets), return_exceptions=True)
    finally:
        await in_thread(give_table_back, "live_run")

    assert all(isinstance(answer, Error) for answer in answers)
    assert gate.asked == 2, "each asking for itself would hold the last up for very long"
    assert hub.feeds == {}
    assert all(socket.outbox.empty for socket in sockets)
    await sockets[0].subscribe()
    assert sockets[0].read() == {}


async def test_a_list_in_doubt_is_read_again_until_the_database_answers(
    hub: Hub, announce: Announcer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("live.hub._REFRESH_S", 0.1)
    socket = Socket(hub)
    await socket.subscribe()
    await in_thread(take_table_away, "live_run")
    try:
        await announce.tell(make_row("unknown", "running"))
        await eventually(lambda: "cannot be read again" in caplog.text, "the failure")
        assert socket.read() == {"unknown": "running"}
        assert sum(socket.page.counts.values()) == 0
    finally:
        await in_thread(give_table_back, "live_run")

    await eventually(lambda: socket.read() and socket.page.counts["running"] == 1, "the count")
    assert not hub.feeds[RUNS].doubtful


async def test_a_change_asks_the_lists_and_the_boxes_of_its_run_only(
    hub: Hub, announce: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = [Socket(hub, FeedKey(viewer=OPERATOR, run_id=f"run-{number}")) for number in range(20)]
    for socket in (Socket(hub), *boxes):
        await socket.subscribe()
    asked: list[str] = []
    monkeypatch.setattr(Feed, "apply", lambda feed, *change: asked.append(feed.key.run_id))

    await announce.tell(make_row("run-7", "queued"))
    await eventually(lambda: len(asked) >= 2, "the change")
    for socket in boxes:
        socket.unsubscribe()
    await announce.tell(make_row("run-7", "running"))
    await eventually(lambda: len(asked) >= 3, "the next")

    assert asked == ["", "run-7", ""]
    assert list(hub._feeds_of) == [None]


async def test_all_lists_are_read_again_in_one_round(
    hub: Hub, announce: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was deleted by hand leaves every list, though each might only be read again in a minute."""
    monkeypatch.setattr("live.hub._REREAD_S", 0.05)
    monkeypatch.setattr("live.hub._REFRESH_S", 60.0)
    await announce.tell(make_row("deleted", "succeeded"))
    await in_thread(record)
    sockets = [Socket(hub, list_key(OPERATOR, topics.Filter(), limit)) for limit in (1, 2, 3)]
    for socket in sockets:
        await socket.subscribe()
        assert socket.read() == {"deleted": "succeeded"}
    hub.follower.tail.begin(hub.epoch, hub.seq)
    await in_thread(Run.objects.all().delete)

    rounds = hub.spawn(hub._reread())
    await eventually(lambda: not any(socket.read() for socket in sockets), "all of them to be empty")

    assert not rounds.done()


async def test_in_another_life_of_the_log_every_socket_gets_everything(hub: Hub, announce: Announcer) -> None:
    await announce.tell(make_row("recorded", "running"))
    await in_thread(record)
    await announce.tell(make_row("lost", "queued"))
    sockets = [Socket(hub) for _ in range(3)]
    for socket in sockets:
        await socket.subscribe()
    await eventually(lambda: all("lost" in socket.read() for socket in sockets), "the news")

    announce.log.redis.flushall()
    announce.log.look_for_life()
    await announce.tell(make_row("anew", "queued"))

    for socket in sockets:
        await eventually(lambda socket=socket: "anew" in socket.read(), "the new life")  # type: ignore[misc]
        assert socket.read() == {"anew": "queued", "recorded": "running"}
        assert socket.kinds[-1] == "snapshot"
        assert socket.page.since == (hub.epoch_for(OPERATOR), 1)


async def test_a_life_that_ends_while_the_database_is_read_is_not_shown(
    hub: Hub, announce: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await announce.tell(make_row("lost", "queued"))
    await eventually(lambda: hub.seq == 1, "the news")
    gate = Gate(hub, monkeypatch, is_open=False)
    socket = Socket(hub)
    subscribing = asyncio.create_task(socket.subscribe())
    await eventually(lambda: gate.asked == 1, "the reading to begin")

    announce.log.redis.flushall()
    announce.log.look_for_life()
    await announce.tell(make_row("anew", "queued"))
    gate.opened.set()
    await subscribing

    await eventually(lambda: socket.read() == {"anew": "queued"}, "the new life")
    assert socket.page.since[0] == hub.epoch_for(OPERATOR)


async def test_a_burst_goes_at_once_and_then_together(hub: Hub, announce: Announcer, settings: Any) -> None:
    settings.LIVE_TICK_MS = 100
    socket = Socket(hub)
    await socket.subscribe()
    socket.read()

    for number in range(100):
        await announce.tell(make_row(f"run-{number:02}", "queued"))
    await eventually(lambda: len(socket.read()) == 50 and hub.seq == 100, "the last", 5)
    await eventually(lambda: socket.read() and socket.page.counts["queued"] == 100, "the count")

    assert len(socket.kinds) < 40


async def test_contact_with_redis_is_told_to_all_who_ask(hub: Hub) -> None:
    told: list[bool] = []
    hub.on_contact.add(lambda: told.append(hub.follower.in_contact))

    hub.follower.in_contact = False
    hub._tell_contact()

    assert told == [False]


async def test_a_job_that_fails_is_begun_again(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr("live.hub._RETRY_S", 0.01)
    begun: list[int] = []

    async def job() -> None:
        begun.append(len(begun))
        if len(begun) == 1:
            raise ConnectionError("Redis is away")
        if len(begun) == 2:
            raise ZeroDivisionError("a bug")
        await asyncio.Event().wait()

    hub.spawn(hub.keep_on(job))

    await eventually(lambda: len(begun) == 3, "the third beginning")


async def test_without_redis_a_subscriber_is_told_to_come_back(
    own_redis: Any, transactional_db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr("live.hub._SUBSCRIBE_S", 0.2)
    own_redis.kill()
    hub = Hub()

    with pytest.raises(TimeoutError):
        await Socket(hub).subscribe()

    assert hub.feeds == {}
    await hub.stop()


async def test_a_loop_has_one_hub(announce: Announcer, transactional_db: None, settings: Any) -> None:
    settings.LIVE_EMBED_RECORDER = False

    one = for_loop()
    await until_listening(one.follower)

    assert for_loop() is one
    await one.stop()
    await leave_layer()
