"""The follower: however the news comes, or does not, the tail equals the log, and it is said when it cannot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from live import events, publish, stream
from live.follower import Follower, end
from live.tail import Change
from tests.live.readers import Announcer, eventually, layer, leave_layer, until_listening
from tests.live.rows import make_row
from tests.live.servers import OwnRedis
from tests.live.subscribers import OPERATOR


class Followed:
    """A follower that runs, and what it told."""

    def __init__(self) -> None:
        self.position = ("", 0)
        self.changes: list[Change] = []
        self.epochs: list[str] = []
        self.contacts: list[bool] = []
        self.follower = Follower(self._recorded, self.changes.extend, self._note_epoch, self._note_contact)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def states(self) -> dict[str, str]:
        return {run_id: max(tries.items())[1].row.state for run_id, tries in self.follower.tail._runs.items()}

    def start(self) -> None:
        self._tasks = [asyncio.create_task(job()) for job in (self.follower.watch_head, self.follower.listen)]

    async def stop(self) -> None:
        await end(self._tasks)
        await self.follower.log.close()
        await leave_layer()

    async def _recorded(self) -> tuple[str, int]:
        return self.position

    def _note_epoch(self) -> None:
        self.epochs.append(self.follower.tail.epoch)

    def _note_contact(self) -> None:
        self.contacts.append(self.follower.in_contact)


@pytest.fixture
async def followed(settings: Any) -> AsyncIterator[Followed]:
    """A follower that has not begun."""
    followed = Followed()
    yield followed
    await followed.stop()


@pytest.fixture
async def listening(announce: Announcer, followed: Followed, settings: Any) -> Followed:
    """A follower that hears the news, and would look at the head only when there is a reason to."""
    settings.LIVE_HEAD_CHECK_S = 60.0
    followed.start()
    await until_listening(followed.follower)
    return followed


def changed(followed: Followed) -> list[str]:
    return [change.row.id for change in followed.changes]


async def test_news_arrives_in_the_tail(listening: Followed, announce: Announcer) -> None:
    await announce.tell(make_row("one"))
    await announce.tell(make_row("two"))

    await eventually(lambda: listening.follower.tail.seq == 2, "both")

    assert changed(listening) == ["one", "two"]


async def test_news_that_overtook_another_waits_for_it(listening: Followed, announce: Announcer) -> None:
    await announce.news(2, make_row("two"))
    await announce.news(3, make_row("three"))
    await announce.news(1, make_row("one"))

    await eventually(lambda: listening.follower.tail.seq == 3, "all three")

    assert changed(listening) == ["one", "two", "three"]


async def test_news_told_twice_is_taken_once(listening: Followed, announce: Announcer) -> None:
    for _ in range(3):
        await announce.news(1, make_row("one"))
    await announce.news(2, make_row("two"))

    await eventually(lambda: listening.follower.tail.seq == 2, "both")

    assert changed(listening) == ["one", "two"]


async def test_a_hole_in_the_news_is_filled_from_the_log(listening: Followed, announce: Announcer) -> None:
    announce(make_row("one"))
    announce(make_row("two"))
    await announce.tell(make_row("three"))

    await eventually(lambda: listening.follower.tail.seq == 3, "all three", 1)

    assert changed(listening) == ["one", "two", "three"]


async def test_when_no_news_comes_at_all_the_head_tells(announce: Announcer, followed: Followed, settings: Any) -> None:
    settings.LIVE_HEAD_CHECK_S = 0.1
    followed.start()
    await until_listening(followed.follower)

    for number in range(5):
        announce(make_row(f"run-{number}"))

    await eventually(lambda: followed.follower.tail.seq == 5, "the tail to equal the log", 1)


async def test_any_loss_repetition_and_order_of_news_ends_in_the_log(listening: Followed, announce: Announcer) -> None:
    rows = [make_row(f"run-{number % 7}", moment=number) for number in range(1, 60)]
    order = [(number * 37) % 59 + 1 for number in range(59) if number % 3] * 2

    for row in rows:
        announce(row)
    for seq in order:
        await announce.news(seq, rows[seq - 1])
    await announce.tell(make_row("last"))

    await eventually(lambda: listening.follower.tail.seq == 60, "the whole log", 2)
    tail = listening.follower.tail.rows_since(listening.follower.tail.epoch, 0) or {}
    assert {row.id: row for row in tail.values()} == events.merge_all([*rows, make_row("last")])


async def test_a_batch_that_nobody_can_read_takes_nothing_with_it(
    listening: Followed, announce: Announcer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    announce.log.append(b'[{"id": 3}]')
    await announce.news(1, rows=b"\xff not JSON")

    await announce.tell(make_row("two"))

    await eventually(lambda: listening.follower.tail.seq == 2, "the entry behind it")
    assert changed(listening) == ["two"]


async def test_news_of_another_life_has_the_log_looked_at(listening: Followed, announce: Announcer) -> None:
    await announce.tell(make_row("one"))
    await eventually(lambda: listening.follower.tail.seq == 1, "the first")
    announce.log.redis.flushall()
    announce.log.look_for_life()

    await announce.tell(make_row("anew"))

    await eventually(lambda: listening.follower.tail.epoch == announce.log.epoch, "the new life", 1)
    assert listening.states == {"anew": "running"}
    assert listening.epochs[-1] == announce.log.epoch


async def test_a_log_that_is_shorter_than_it_was_is_begun_anew(
    announce: Announcer, followed: Followed, settings: Any
) -> None:
    settings.LIVE_HEAD_CHECK_S = 0.1
    for number in range(5):
        announce(make_row(f"run-{number}"))
    followed.start()
    await eventually(lambda: followed.follower.tail.seq == 5, "the whole log")

    announce.log.redis.delete(stream.key("log"))
    announce(make_row("anew"))

    await eventually(lambda: followed.states == {"anew": "running"}, "the short log")
    assert len(followed.epochs) == 2


async def test_a_head_that_is_old_when_it_comes_is_no_other_life(
    listening: Followed, announce: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = listening.follower.log
    look = log.head

    async def look_slowly() -> stream.Head:
        head = await look()
        await announce.tell(make_row("meanwhile"))
        await eventually(lambda: listening.follower.tail.seq > head.seq, "the news")
        return head

    begun = len(listening.epochs)
    monkeypatch.setattr(log, "head", look_slowly)
    assert await listening.follower._look_at_head()

    assert len(listening.epochs) == begun


async def test_entries_that_were_dropped_unread_are_noticed(
    announce: Announcer, followed: Followed, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LIVE_HEAD_CHECK_S = 0.1
    announce(make_row("one"))
    followed.start()
    await eventually(lambda: followed.follower.tail.seq == 1, "the first")

    for number in range(2, 5):
        announce.log.redis.xadd(stream.key("log"), {"rows": events.encode_rows([make_row(f"run-{number}")])}, "0-*")
    announce.log.redis.execute_command("XTRIM", stream.key("log"), "MINID", "0-4")

    await eventually(lambda: followed.follower.tail.seq == 4, "what is left")
    assert followed.follower.tail.changed_since(followed.follower.tail.epoch, 1, OPERATOR.may_see) is None
    assert len(followed.epochs) == 2, "the feeds must be read again"
    assert "dropped entries unread" in caplog.text


async def test_a_log_that_was_emptied_unread_is_noticed_and_goes_on(
    announce: Announcer, followed: Followed, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LIVE_HEAD_CHECK_S = 0.1
    announce(make_row("one"))
    followed.start()
    await eventually(lambda: followed.follower.tail.seq == 1, "the first")

    announce(make_row("two"))
    announce.log.redis.execute_command("XTRIM", stream.key("log"), "MAXLEN", "=", "0")
    await eventually(lambda: followed.follower.tail.seq == 2, "its place")
    life, as_of = followed.follower.tail.life, followed.follower.as_of
    await eventually(lambda: followed.follower.as_of != as_of, "another look")
    assert followed.follower.tail.life == life, "an empty log is no other life"

    announce(make_row("three"))
    await eventually(lambda: "three" in followed.states, "what comes next")


async def test_it_begins_before_what_is_recorded_so_that_pages_can_come_back(
    announce: Announcer, followed: Followed
) -> None:
    for number in range(10):
        announce(make_row(f"run-{number}"))
    followed.position = (announce.log.epoch, 8)

    followed.start()
    await until_listening(followed.follower)

    changed = followed.follower.tail.changed_since(announce.log.epoch, 0, OPERATOR.may_see)
    assert changed == {f"run-{number}" for number in range(10)}


async def test_what_the_tail_has_lost_is_read_from_the_log_up_to_the_tail(
    listening: Followed, announce: Announcer, settings: Any
) -> None:
    settings.LIVE_TAIL_ROWS = 2
    for number in range(6):
        await announce.tell(make_row(f"run-{number}"))
    await eventually(lambda: listening.follower.tail.seq == 6, "all")
    announce(make_row("unheard"))

    found = await listening.follower.rows_since(announce.log.epoch, 1)

    assert [row.id for row in found.values()] == [f"run-{number}" for number in range(1, 6)]


async def test_a_database_that_is_ahead_is_waited_for(listening: Followed, announce: Announcer) -> None:
    seq = announce(make_row("unheard"))

    await listening.follower.reach(announce.log.epoch, seq)

    assert listening.states == {"unheard": "running"}


async def test_two_looks_at_once_take_each_entry_once(listening: Followed, announce: Announcer) -> None:
    seq = announce(make_row("one"))

    await asyncio.gather(*(listening.follower.reach(announce.log.epoch, seq) for _ in range(5)))

    assert changed(listening) == ["one"]


@pytest.mark.parametrize("flushed", [False, True], ids=["with its files", "empty"])
async def test_after_a_restart_of_redis_the_tail_equals_the_log_within_two_seconds(
    own_redis: OwnRedis, followed: Followed, flushed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    with Announcer() as announce:
        announce(make_row("before"))
        followed.start()
        await eventually(lambda: followed.states == {"before": "running"}, "the first")
        as_of = followed.follower.as_of
        own_redis.kill()
        await eventually(lambda: followed.contacts == [True, False], "the loss to be told", 5)
        assert followed.states == {"before": "running"}, "what was known is kept"
        await asyncio.to_thread(own_redis.restart)
        if flushed:
            own_redis.client.flushall()

        seq = announce(make_row("after"))

        await eventually(lambda: "after" in followed.states, "the tail to be exact", 2)
        await eventually(lambda: followed.contacts == [True, False, True], "contact")
        assert followed.follower.tail.epoch == announce.log.epoch
        assert followed.follower.tail.seq == seq
        assert followed.states == {"after": "running"} | ({} if flushed else {"before": "running"})
        assert len(followed.epochs) == 2
        assert followed.follower.as_of and as_of and followed.follower.as_of > as_of


async def test_a_redis_that_does_not_answer_is_a_lost_contact(own_redis: OwnRedis, followed: Followed) -> None:
    followed.start()
    await eventually(lambda: followed.contacts == [True], "contact")

    own_redis.freeze()
    await eventually(lambda: followed.contacts == [True, False], "the loss to be told", 5)

    own_redis.thaw()
    await eventually(lambda: followed.contacts == [True, False, True], "contact", 2)


async def test_it_subscribes_once_however_often_redis_was_away_at_the_start(
    own_redis: OwnRedis, followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    own_redis.kill()
    followed.start()
    await eventually(lambda: followed.follower._watchful_until > 0, "a first failure")
    assert layer().channels == {}

    await asyncio.to_thread(own_redis.restart)

    await until_listening(followed.follower)
    assert len(layer().channels) == 1


async def test_a_listener_that_failed_takes_its_place_in_the_group_with_it(
    announce: Announcer, followed: Followed
) -> None:
    followed.follower.ready.set()
    listener = asyncio.create_task(followed.follower.listen())
    await eventually(lambda: layer().groups, "the subscription")
    followed.follower.tail.begin(announce.log.epoch, 0)

    await layer().group_send(publish.GROUP, {"type": publish.NEWS, "epoch": announce.log.epoch, "seq": None})

    with pytest.raises(TypeError):
        await asyncio.wait_for(listener, 5)
    assert not layer().groups


async def test_what_loses_its_cancellation_is_ended_all_the_same() -> None:
    lost: list[str] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append("as Python 3.11's `wait_for` does")

    async def failing() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    tasks = [asyncio.create_task(job()) for job in (stubborn, failing, asyncio.Event().wait)]
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await end(tasks)

    assert lost
    assert all(task.done() for task in tasks)
