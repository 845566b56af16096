"""A page in thirty lines, and a hub whose every step a test decides: no event loop, no Redis, the real database."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Generator
from typing import Any

import msgspec

from live import events, queries, recorder, stream, topics
from live.feed import Feed, FeedKey
from live.follower import Follower
from live.hub import Hub
from live.models import LogPosition, Run
from live.outbox import Outbox, opened


class Client:
    """What a page does with the frames of one subscription."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.rows: list[events.Row] = []
        self.counts: dict[str, int] = {}
        self.attempts: list[dict[str, Any]] = []
        self.since = ("", -1)

    def take(self, text: str) -> None:
        """Lay a frame over what is there; a snapshot replaces it."""
        frame = json.loads(text)
        rows = {} if frame["type"] == "snapshot" else {row.id: row for row in self.rows}
        rows |= {row.id: row for row in msgspec.convert(frame["runs"], list[events.Row])}
        for run_id in frame.get("removed", []):
            rows.pop(run_id, None)
        self.rows = sorted(rows.values(), key=events.sort_key)[: self.limit]
        self.counts, self.attempts = frame["counts"], frame.get("attempts", [])
        self.since = (frame.get("epoch", self.since[0]), frame["seq"])

    def drain(self, outbox: Outbox, feed: Feed) -> None:
        """Take all that waits for it."""
        while True:
            frame, behind = outbox.take()
            if behind:
                frame = opened("snapshot", behind, feed.snapshot())
            if not frame:
                return
            self.take(frame)


class Pause:
    """A point at which anything else may happen."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class MemoryLog:
    """The log in Redis, for a follower."""

    def __init__(self) -> None:
        self.epoch, self.entries = "life-0", dict[int, list[events.Row]]()
        #: All of this life, also what was trimmed.
        self.said = dict[int, list[events.Row]]()

    @property
    def seq(self) -> int:
        return max(self.entries, default=0)

    def append(self, rows: list[events.Row]) -> None:
        self.said[self.seq + 1] = self.entries[self.seq + 1] = rows

    async def head(self) -> stream.Head:
        await Pause()
        return stream.Head(self.epoch, self.seq)

    async def read(self, after: int, count: int) -> list[stream.Entry]:
        await Pause()
        found = sorted(seq for seq in self.entries if seq > after)[:count]
        return [stream.Entry(seq, events.encode_rows(self.entries[seq])) for seq in found]


class SteppedHub(Hub):
    """The hub's own reading of a feed, which stops at each `await`."""

    def __init__(self, log: MemoryLog) -> None:
        self.feeds, self._feeds_of = {}, {}
        self.follower = Follower(self._recorded, self._apply, self._begin_epoch, lambda: None)
        self.follower.log = log  # type: ignore[assignment]
        self.follower.ready.set()

    async def in_pool(self, ask: Any) -> Any:
        await Pause()
        answer = ask()
        await Pause()
        return answer

    def _plan_flush(self) -> None:
        """The test flushes."""


class World:
    """A log, a database, a hub, one feed with one page, and what is true."""

    def __init__(self, key: FeedKey) -> None:
        Run.objects.all().delete()
        LogPosition.objects.all().delete()
        self.log = MemoryLog()
        self.hub = SteppedHub(self.log)
        self.feed = self.hub._feed(key)
        self.outbox, self.client = Outbox(), Client(key.limit)
        self.recorded: list[events.Row] = []
        #: What was recorded in earlier lives of the log.
        self.inherited: list[events.Row] = []
        self.position = 0
        self._doing: Coroutine[Any, Any, Any] | None = None
        self.finish(self.hub.follower._look_at_head())
        self.finish(self.hub._read(self.feed))
        self.feed.outboxes[self.outbox] = {"a"}
        self.outbox.fall_behind("a")
        self.client.drain(self.outbox, self.feed)

    @property
    def tail(self) -> Any:
        return self.hub.follower.tail

    def finish(self, doing: Coroutine[Any, Any, Any]) -> None:
        for _ in iter(lambda: step(doing), True):
            pass

    def step_reading(self) -> None:
        """Go on with a reading up to its next pause; begin one when there is none."""
        self._doing = self._doing or self.hub._read(self.feed)
        if step(self._doing):
            self._doing = None
            self.client.drain(self.outbox, self.feed)

    def hear(self) -> None:
        """The news of the next entry comes, if there is one that the hub has not."""
        seq = self.tail.seq + 1
        if self.tail.epoch == self.log.epoch and seq in self.log.entries:
            rows = events.encode_rows(self.log.entries[seq])
            self.hub.follower.take_news({"epoch": self.log.epoch, "seq": seq, "rows": rows})

    def look(self) -> None:
        """The hub looks at the head of the log, unless it is just doing so."""
        if not self.hub.follower._looking.locked():
            self.finish(self.hub.follower._look_at_head())

    def record(self, entries: int) -> None:
        """The recorder takes so many entries."""
        epoch, _ = queries.position()
        self.position = self.position if epoch == self.log.epoch else 0
        seqs = sorted(seq for seq in self.log.entries if seq > self.position)[:entries]
        rows = [row for seq in seqs for row in self.log.entries[seq]]
        recorder.store(rows)
        self.recorded += rows
        self.position = max(seqs, default=self.position)
        LogPosition.objects.update_or_create(id=1, defaults={"epoch": self.log.epoch, "seq": self.position})

    def begin_life(self, kept: int) -> None:
        """Redis starts anew and has kept so many of its entries; publishers say their last rows again."""
        lost = [rows for seq, rows in self.log.entries.items() if seq > kept]
        self.log.epoch = f"life-{int(self.log.epoch[5:]) + 1}"
        self.log.entries = {seq: rows for seq, rows in self.log.entries.items() if seq <= kept}
        self.log.said = dict(self.log.entries)
        self.inherited = list(self.recorded)
        for rows in lost:
            self.log.append(rows)

    def trim(self) -> None:
        """The log drops what is recorded."""
        if queries.position()[0] == self.log.epoch:
            self.log.entries = {seq: rows for seq, rows in self.log.entries.items() if seq >= self.position}

    def flush(self) -> None:
        """What the hub does each tick, and what must hold then."""
        if self.feed.changed and not self.feed.restarting:
            self.feed.flush(self.hub.seq)
        self.client.drain(self.outbox, self.feed)
        assert self.client.rows == list(self.feed.sent.values())
        assert self.client.counts == self.feed._sent_counts
        if not (self.feed.doubtful or self.feed.restarting) and self.tail.epoch == self.log.epoch:
            heard = [row for seq, rows in self.log.said.items() if seq <= self.tail.seq for row in rows]
            self.check(self.inherited + heard)

    def settle(self) -> None:
        """All is recorded, heard and, where in doubt, read again."""
        while self._doing:
            self.step_reading()
        self.record(len(self.log.entries))
        self.look()
        for _ in range(3):
            if self.feed.doubtful:
                self.finish(self.hub._read(self.feed))
        self.flush()
        assert not self.feed.doubtful
        assert self.client.rows == queries.page(self.feed.key.viewer, self.feed.key.filter, self.feed.key.limit)
        assert self.client.counts == queries.counts(self.feed.key.viewer, self.feed.key.filter)

    def resume(self, client: Client) -> None:
        """A page that was away comes back to this feed."""
        if self.feed.restarting:
            return
        resumed = self.hub._resume(self.feed, client.since)
        kind = "snapshot" if resumed is None else "changes"
        client.take(opened(kind, "a", resumed or self.feed.snapshot()))
        assert client.rows == list(self.feed.sent.values())
        assert client.counts == self.feed._sent_counts

    def check(self, known: list[events.Row]) -> None:
        """Compare the page with what follows from these rows."""
        key, runs = self.feed.key, events.merge_all(known).values()
        scope = [row for row in runs if key.in_scope(row)]
        shown = sorted(filter(key.shows, scope), key=events.sort_key)[: key.limit]
        counts = dict.fromkeys(events.STATES, 0)
        for row in scope:
            counts[row.state] += 1
        counts = {} if key.run_id else counts
        assert (self.client.rows, self.client.counts) == (shown, counts)


def step(doing: Coroutine[Any, Any, Any]) -> bool:
    """Run up to the next pause; return whether it has ended."""
    try:
        doing.send(None)
    except StopIteration:
        return True
    return False


def key_for(limit: int, sees_all: bool = True, **filter: Any) -> FeedKey:
    """Name a list of the clerk's."""
    viewer = queries.Viewer(username="clerk", sees_all=sees_all)
    return FeedKey(viewer=viewer, filter=topics.Filter(**filter), limit=limit)
