"""Read side: the log and the news, to the sockets of this process. One hub per event loop.

It has one subscription on the channel layer, whatever the number of sockets; matches each row with the feeds, encodes
once per feed and not per socket, and passes on at once when quiet and once per tick under load.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.db import Error, close_old_connections

from live import conf, events, queries, recorder, stream
from live.feed import Feed, FeedKey
from live.follower import Follower, end
from live.outbox import Outbox
from live.pace import Pace
from live.tail import Change, unrecorded

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: What a database or Redis that is away raises; who asked comes back later.
FAILURES = (Error, *stream.Unavailable, stream.RedisTooOld, stream.redis.ResponseError)

#: Seconds a subscription may wait for its first reading.
_SUBSCRIBE_S = 15.0
#: Readings of one feed in a row that the log may overtake.
_MAX_READINGS = 5
#: Seconds between two readings of a feed that is in doubt, and until another try when something failed.
_REFRESH_S = 1.0
_RETRY_S = 0.5
#: Seconds between two readings of every feed in use, in case the database changed by other hands.
_REREAD_S = 60.0
#: Seconds the loop is left alone after a flush, at most.
_MAX_REST_S = 1.0


class Hub:
    """The feeds in use, and what keeps them up to date."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.feeds: dict[FeedKey, Feed] = {}
        #: The same by the one run that they are of, those of lists under None: most changes concern few of them.
        self._feeds_of: dict[str | None, set[Feed]] = {}
        #: Called, each with nothing, when the contact with Redis is lost or found again.
        self.on_contact: set[Callable[[], None]] = set()
        self._pool = ThreadPoolExecutor(conf.live.DATABASE_THREADS, thread_name_prefix="live-read")
        self.follower = Follower(self._recorded, self._apply, self._begin_epoch, self._tell_contact)
        self._pace = Pace()
        #: Not before this time of the loop, as the last flush is still being written.
        self._flush_at = 0.0
        self._flush_planned = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def epoch(self) -> str:
        """The life of the log that is followed."""
        return self.follower.tail.epoch

    def epoch_for(self, viewer: queries.Viewer) -> str:
        """Return the epoch as sockets are told: who gains or loses the right to see all has to begin anew, too."""
        return f"{self.epoch}+" if viewer.sees_all else self.epoch

    @property
    def seq(self) -> int:
        """The last entry of the log that is here."""
        return self.follower.tail.seq

    def start(self) -> None:
        """Begin to follow the log; called once, by `for_loop`."""
        recorder.start_thread()
        for job in (self.follower.listen, self.follower.watch_head, self._reread):
            self.spawn(self.keep_on(job))

    def spawn(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside, as long as it takes."""
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """End all that runs beside; for tests and the end of the process."""
        await end(self._tasks)
        await self.follower.log.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def in_pool(self, ask: Callable[[], T]) -> T:
        """Ask the database from one of a few threads, so that no socket waits for another's query."""

        def guarded() -> T:
            close_old_connections()
            try:
                return ask()
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(self._pool, guarded)

    async def subscribe(self, key: FeedKey, outbox: Outbox, sub: str, since: tuple[str, int] | None) -> None:
        """Add a socket's subscription to a feed and have the first frame put into its outbox.

        What comes while the feed is read reaches it too, so nothing falls between; the socket hears of it from its
        first frame on. Raises one of FAILURES when the database or Redis does not answer.
        """
        async with asyncio.timeout(_SUBSCRIBE_S):
            await self.follower.ready.wait()
            feed = self._feed(key)
            feed.waiting += 1
            try:
                while not feed.loaded or feed.restarting:
                    await self._load(feed)
                feed.outboxes.setdefault(outbox, set()).add(sub)
            finally:
                feed.waiting -= 1
                self._forget_unused(feed)
        outbox.forget(sub)
        resumed = self._resume(feed, since) if since else None
        if resumed is None:
            outbox.fall_behind(sub)
        else:
            outbox.put(sub, "changes", resumed)

    def _feed(self, key: FeedKey) -> Feed:
        if key not in self.feeds:
            self.feeds[key] = Feed(key)
            self._feeds_of.setdefault(key.run_id or None, set()).add(self.feeds[key])
        return self.feeds[key]

    def _resume(self, feed: Feed, since: tuple[str, int]) -> str | None:
        """Return what changed since, or None when only the whole list will do."""
        if since[0] != feed.epoch:
            return None
        changed = self.follower.tail.changed_since(self.epoch, since[1], feed.key.viewer.may_see)
        return None if changed is None else feed.resume(changed)

    def unsubscribe(self, key: FeedKey, outbox: Outbox, sub: str) -> None:
        """Take a subscription back; a feed without any is forgotten."""
        feed = self.feeds.get(key)
        if feed is None or outbox not in feed.outboxes:
            return
        feed.outboxes[outbox].discard(sub)
        if not feed.outboxes[outbox]:
            del feed.outboxes[outbox]
        self._forget_unused(feed)

    def _forget_unused(self, feed: Feed) -> None:
        if feed.outboxes or feed.waiting or feed.key not in self.feeds:
            return
        del self.feeds[feed.key]
        alike = self._feeds_of[feed.key.run_id or None]
        alike.discard(feed)
        if not alike:
            del self._feeds_of[feed.key.run_id or None]

    def snapshot(self, key: FeedKey) -> str | None:
        """Return the snapshot of a feed in use, without its opening."""
        feed = self.feeds.get(key)
        return feed.snapshot() if feed and feed.loaded else None

    async def _load(self, feed: Feed) -> None:
        """Read a feed from the database; whoever asks meanwhile waits for the same reading, and fails with it."""
        if feed.loading is None:
            feed.loading = self.spawn(self._read(feed))
            # Those who asked may all be gone when it fails.
            feed.loading.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(feed.loading)

    async def _read(self, feed: Feed) -> None:
        try:
            reading, ahead, asked = await self._read_up_to_now(feed.key)
        finally:
            feed.loading = None
        for row in (*reading.rows, *reading.stored.values(), *ahead):
            self.follower.tail.learn(row)
        feed.load(reading, ahead, asked, self.follower.tail.is_new)
        feed.begin_epoch(self.epoch_for(feed.key.viewer))
        feed.flush(self.seq)
        if feed.doubtful:
            self._plan_flush()

    async def _read_up_to_now(self, key: FeedKey) -> tuple[queries.Reading, list[events.Row], set[str]]:
        """Return what the database has, what the log is ahead with, and the runs whose stored rows were asked for.

        Nothing else runs between the return and the end of `_read`, so no change falls between.
        """
        tail = self.follower.tail
        for _ in range(_MAX_READINGS):
            life, begun_at = tail.life, tail.seq
            ahead = await self.follower.rows_since(*await self._recorded())
            asked = {run_id for run_id, _ in ahead}
            reading = await self.in_pool(lambda asked=asked: key.read(asked))  # type: ignore[misc]
            await self.follower.reach(*reading.position)
            newest = tail.rows_since(self.epoch, begun_at) if tail.life == life else None
            if newest is not None:
                return reading, unrecorded(ahead, newest, tail.rows_since(*reading.position)), asked
        raise ConnectionError(f"The log overtook {_MAX_READINGS} readings of the database.")

    async def _recorded(self) -> tuple[str, int]:
        return await self.in_pool(queries.position)

    def _apply(self, changes: list[Change]) -> None:
        for change in changes:
            for feed in (*self._feeds_of.get(None, ()), *self._feeds_of.get(change.row.id, ())):
                feed.apply(*change)
        self._plan_flush()

    def _begin_epoch(self) -> None:
        for feed in self.feeds.values():
            feed.restart()
        self._plan_flush()

    def _tell_contact(self) -> None:
        for tell in list(self.on_contact):
            tell()

    def _plan_flush(self) -> None:
        """Pass changes on at once after a pause, and gather them under load."""
        if not self._flush_planned:
            self._flush_planned = True
            due = self._pace.due(self.loop.time(), conf.live.TICK_MS / 1000)
            self.loop.call_at(max(due, self._flush_at), self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        self._pace.spend()
        # The sockets' writers run next, each once: what is called behind them knows how long all of them took.
        self.loop.call_soon(self.loop.call_soon, self._rest, self.loop.time())
        for feed in self.feeds.values():
            if feed.loaded and feed.changed and not feed.restarting:
                feed.flush(self.seq)
            if feed.doubtful and not feed.refreshing:
                self.spawn(self._refresh(feed))

    def _rest(self, begun: float) -> None:
        """Leave the loop as much time as the flush took, so that with many sockets they get fewer and larger frames."""
        now = self.loop.time()
        self._flush_at = now + min(now - begun, _MAX_REST_S)

    async def _refresh(self, feed: Feed) -> None:
        """Read a feed in doubt again, not more often than each _REFRESH_S."""
        feed.refreshing = True
        begun = time.monotonic()
        try:
            await self._read_again(feed)
        finally:
            await asyncio.sleep(max(0.0, _REFRESH_S - (time.monotonic() - begun)))
            feed.refreshing = False
        if feed.doubtful:
            self._plan_flush()

    async def _reread(self) -> None:
        while True:
            await asyncio.sleep(_REREAD_S)
            for feed in list(self.feeds.values()):
                await self._read_again(feed)
                if feed.doubtful:
                    self._plan_flush()

    async def _read_again(self, feed: Feed) -> None:
        try:
            await self._load(feed)
        except FAILURES as error:
            logger.warning("A feed cannot be read again. %s", error, extra={"action": "feed_waits"})
            feed.doubtful = True  # also one that was only read again for safety's sake

    async def keep_on(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a job that has no end, again whenever it fails."""
        while True:
            try:
                await job()
            except stream.Unavailable as error:
                logger.warning("The hub tries again. %s", error, extra={"action": "hub_waits"})
            except Exception:
                logger.exception("The hub failed and goes on.", extra={"action": "hub_failed"})
            await asyncio.sleep(_RETRY_S)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def for_loop() -> Hub:
    """Return the running loop's hub, started."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
        _hubs[loop].start()
    return _hubs[loop]
