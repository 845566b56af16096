"""Keeps the tail equal to the log: news first, holes filled from the log, and a look at its head from time to time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from channels.layers import get_channel_layer
from django.db import Error

from live import conf, events, publish, stream
from live.tail import Change, Tail, Try, merge_tries

logger = logging.getLogger(__name__)

#: Seconds a hole in seq may close by itself: two publishers' news can overtake each other.
_HOLE_S = 0.02
#: Entries read from the log at once, and entries before the recorded ones that are read for pages that come back.
_READ_ENTRIES = 500
#: Batches that may wait behind a hole.
_MAX_AHEAD = 1_000
#: Seconds between two looks at the head while something is wrong, and for how many seconds after it.
_RETRY_S = 0.25
_WATCHFUL_S = 5.0
#: Seconds until a task that was cancelled and has not ended is cancelled again.
_END_AGAIN_S = 0.1


class Follower:
    """Listens on the channel layer and reads the log, on one event loop."""

    def __init__(
        self,
        recorded: Callable[[], Awaitable[tuple[str, int]]],
        on_changes: Callable[[list[Change]], None],
        on_epoch: Callable[[], None],
        on_contact: Callable[[], None],
    ) -> None:
        """`recorded` tells the database's position; the others are called with what changed, when the log began
        another life, and when the contact with Redis was lost or found again."""
        self.tail = Tail()
        self.log = stream.AsyncLog()
        #: When all that the log had was last known to be here; None before the first time.
        self.as_of: datetime | None = None
        self.in_contact = False
        #: Set once the tail has begun.
        self.ready = asyncio.Event()
        self._recorded, self._on_changes = recorded, on_changes
        self._on_epoch, self._on_contact = on_epoch, on_contact
        self._ahead: dict[int, bytes] = {}
        self._look_now = asyncio.Event()
        self._looking = asyncio.Lock()
        self._watchful_until = 0.0

    async def listen(self) -> None:
        """Take the news for ever; raises when the layer does."""
        layer = get_channel_layer(conf.live.CHANNEL_LAYER)
        # A channel that fails to be made stays in the layer's memory, so none is tried before Redis is there.
        await self.ready.wait()
        if layer is None:
            await asyncio.Event().wait()
        channel = await layer.new_channel()
        try:
            await layer.group_add(publish.GROUP, channel)
            self._look_now.set()
            while True:
                self.take_news(await layer.receive(channel))
        finally:
            await layer.group_discard(publish.GROUP, channel)

    def take_news(self, message: dict[str, Any]) -> None:
        """Take one batch, in whatever order it comes."""
        if not self.ready.is_set() or message.get("epoch") != self.tail.epoch:
            self._look_now.set()
            return
        seq = message["seq"]
        if seq == self.tail.seq + 1:
            self._take(seq, message["rows"])
            while (rows := self._ahead.pop(self.tail.seq + 1, None)) is not None:
                self._take(self.tail.seq + 1, rows)
        elif seq > self.tail.seq:
            if not self._ahead:
                asyncio.get_running_loop().call_later(_HOLE_S, self._mend_hole)
            if len(self._ahead) < _MAX_AHEAD:
                self._ahead[seq] = message["rows"]

    def _mend_hole(self) -> None:
        if self._ahead:
            self._look_now.set()

    def _take(self, seq: int, data: bytes) -> None:
        changes = self.tail.take(seq, events.decode_entry(seq, data))
        if changes:
            self._on_changes(changes)

    async def watch_head(self) -> None:
        """Look at the head of the log for ever: each LIVE_HEAD_CHECK_S, at once when asked, often when in trouble."""
        loop = asyncio.get_running_loop()
        while True:
            worked = await self._look_at_head()
            if not worked:
                self._watchful_until = loop.time() + _WATCHFUL_S
            if worked != self.in_contact:
                self.in_contact = worked
                self._on_contact()
            pause_s = _RETRY_S if loop.time() < self._watchful_until else conf.live.HEAD_CHECK_S
            if not worked:
                await asyncio.sleep(_RETRY_S)
                continue
            try:
                # Python 3.11's `wait_for` loses a cancellation that meets the event.
                async with asyncio.timeout(pause_s):
                    await self._look_now.wait()
            except TimeoutError:
                continue
            finally:
                self._look_now.clear()

    async def _look_at_head(self) -> bool:
        """Read what the log has and the tail has not; return whether that worked."""
        try:
            async with self._looking:
                await self._catch_up()
        except (*stream.Unavailable, stream.RedisTooOld, stream.redis.ResponseError, Error) as error:
            if self.in_contact or self.as_of is None:
                logger.warning("The log cannot be read. %s", error, extra={"action": "follow_waits"})
            return False
        self._ahead = {seq: rows for seq, rows in self._ahead.items() if seq > self.tail.seq}
        self.as_of = datetime.now(UTC)
        self.ready.set()
        return True

    async def _catch_up(self) -> None:
        before = self.tail.seq  # the news may go beyond the head while that is on its way here
        head = await self.log.head()
        if head.epoch != self.tail.epoch or head.seq < before:
            await self._begin_epoch(head)
        while self.tail.seq < head.seq:
            entries = await self.log.read(self.tail.seq, _READ_ENTRIES)
            first = entries[0].seq if entries else head.seq + 1
            if first > self.tail.seq + 1:
                logger.warning("The log dropped entries unread.", extra={"action": "follow_missed"})
                self._begin(head.epoch, first - 1)
            for entry in entries:
                # The news may have brought it while the log was being read.
                if entry.seq > self.tail.seq:
                    self._take(entry.seq, entry.rows)

    async def _begin_epoch(self, head: stream.Head) -> None:
        epoch, seq = await self._recorded()
        start = min(seq, head.seq - _READ_ENTRIES) if epoch == head.epoch else 0
        first = await self.log.read(max(start, 0), 1)
        self._begin(head.epoch, first[0].seq - 1 if first else head.seq)

    def _begin(self, epoch: str, seq: int) -> None:
        self.tail.begin(epoch, seq)
        self._ahead.clear()
        self._on_epoch()

    async def reach(self, epoch: str, seq: int) -> None:
        """Return once the tail has all that the database had. Raises ConnectionError when the log does not answer."""
        if (epoch != self.tail.epoch or seq > self.tail.seq) and not await self._look_at_head():
            raise ConnectionError("The database is ahead of the log, which cannot be read.")

    async def rows_since(self, epoch: str, seq: int) -> dict[Try, events.Row]:
        """Return what changed after a recorded position, from the log itself if the tail is too short.

        What the log has and the tail has not is left out: it comes as a change.
        """
        found = self.tail.rows_since(epoch, seq)
        if found is not None:
            return found
        found, after = {}, seq if epoch == self.tail.epoch else 0
        while after < self.tail.seq and (entries := await self.log.read(after, _READ_ENTRIES)):
            for entry in entries:
                if entry.seq <= self.tail.seq:
                    merge_tries(found, events.decode_entry(entry.seq, entry.rows))
            after = entries[-1].seq
        return dict(sorted(found.items()))


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until each has ended.

    Once is not always enough: Python 3.11's `wait_for`, through which redis-py sends, loses a cancellation that meets
    the end of what it waits for.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=_END_AGAIN_S)
        for task in ended:
            # Asked for, so that asyncio does not complain of an error that nobody looked at.
            task.cancelled() or task.exception()
