"""One topic as one viewer sees it, kept up to date in memory and shared by every socket that asked for the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from live import conf, events, queries, topics
from live.outbox import Outbox


class FeedKey(msgspec.Struct, frozen=True):
    """What makes two subscriptions the same: who looks, at what, how much of it."""

    viewer: queries.Viewer
    #: The one run of the topic `run:<id>`; "" for the topic `runs`.
    run_id: str = ""
    filter: topics.Filter = topics.Filter()
    limit: int = 1

    @property
    def window(self) -> int:
        """How many rows are held, so that one that leaves the list does not cost a query."""
        return self.limit * 2

    def in_scope(self, row: events.Row) -> bool:
        """Whether the row counts for this list, whatever its state."""
        wanted = row.id == self.run_id if self.run_id else self.filter.matches_scope(row)
        return wanted and self.viewer.may_see(row)

    def shows(self, row: events.Row) -> bool:
        """Whether a row in scope is on this list."""
        return not self.filter.state or row.state in self.filter.state

    def read(self, ahead: set[str]) -> queries.Reading:
        """Ask the database for this list, and for the stored rows of the runs that the log is ahead with."""
        if self.run_id:
            return queries.read_run(self.viewer, self.run_id)
        return queries.read_list(self.viewer, self.filter, self.window + 1, ahead)


class Feed:
    """The list, what of it the sockets were sent, and the sockets' outboxes."""

    def __init__(self, key: FeedKey) -> None:
        self.key = key
        self.outboxes: dict[Outbox, set[str]] = {}
        #: Subscriptions that wait for the first reading.
        self.waiting = 0
        self.loading: asyncio.Task[None] | None = None
        self.loaded = False
        #: The database must be asked again: a run came up of which the hub does not know what it was before.
        self.doubtful = False
        self.refreshing = False
        #: Another life of the log began, and the sockets wait for the whole.
        self.restarting = False
        self.changed = False
        #: Where in the log the list stands, as the sockets are told; it stays behind while the feed is in doubt.
        self.epoch = ""
        self.seq = 0
        self.sent: dict[str, events.Row] = {}
        self._rows: dict[str, events.Row] = {}
        self._counts: dict[str, int] = {}
        self._sent_counts: dict[str, int] = {}
        self._attempts: dict[int, queries.AttemptRow] = {}
        self._sent_attempts: dict[int, queries.AttemptRow] = {}
        #: The place of the newest row that is not held; None when all are.
        self._floor: tuple[float, str] | None = None
        self._snapshot = ""

    def restart(self) -> None:
        """The log began another life: read again, then send every socket the whole."""
        self.doubtful = self.restarting = True

    def load(
        self,
        reading: queries.Reading,
        ahead: Iterable[events.Row],
        asked: set[str],
        is_new: Callable[[events.Row], bool],
    ) -> None:
        """Take what the database has, brought up to date with the rows that the log is ahead with.

        `asked` are the runs whose stored rows were asked for; of one that came up since, and is not new, nobody knows
        yet whether the database had counted it.
        """
        held = reading.rows[: self.key.window]
        self._rows = {row.id: row for row in held}
        self._floor = events.sort_key(reading.rows[len(held)]) if len(reading.rows) > len(held) else None
        self._counts = dict(reading.counts)
        self._attempts = {attempt.number: attempt for attempt in reading.attempts}
        self.doubtful = False
        stored = {**reading.stored, **self._rows}
        for row in ahead:
            before = stored.get(row.id)
            self._apply(before, row, before is not None or row.id in asked or is_new(row))
            stored[row.id] = row if before is None else events.merge(before, row)
        self.loaded = True

    def begin_epoch(self, epoch: str) -> None:
        """Note the life of the log that the list is of; the seqs of another one mean nothing in it."""
        if epoch != self.epoch:
            self.epoch, self.seq = epoch, 0

    def apply(self, before: events.Row | None, row: events.Row, is_new: bool) -> None:
        """Take a try's new row; `before` is the run as the hub knew it, None when it did not, perhaps as it is new."""
        if self.loaded:
            before = self._rows.get(row.id, before)
            self._apply(before, row, before is not None or is_new)

    def _apply(self, before: events.Row | None, row: events.Row, is_known: bool) -> None:
        was_in = before is not None and self.key.in_scope(before)
        if not was_in and not self.key.in_scope(row):
            return
        after = row if before is None else events.merge(before, row)
        is_in = self.key.in_scope(after)
        if not is_known:
            self.doubtful = True
        elif not self.key.run_id:
            self._count(before if was_in else None, after if is_in else None)
        self._rows.pop(after.id, None)
        if is_in and self.key.shows(after):
            self._hold(after)
        if is_in and self.key.run_id:
            self._note_attempt(row, after)
        if len(self._rows) < self.key.limit and self._floor is not None:
            self.doubtful = True
        self.changed = True

    def _count(self, before: events.Row | None, after: events.Row | None) -> None:
        for row, step in ((before, -1), (after, 1)):
            if row is not None:
                self._counts[row.state] = self._counts.get(row.state, 0) + step

    def _hold(self, row: events.Row) -> None:
        """Hold a row, if it belongs among the newest: what else lies below the floor, nobody knows here."""
        if self._floor is not None and events.sort_key(row) >= self._floor:
            return
        self._rows[row.id] = row
        if len(self._rows) > self.key.window:
            oldest = max(self._rows.values(), key=events.sort_key)
            del self._rows[oldest.id]
            self._floor = events.sort_key(oldest)

    def _note_attempt(self, row: events.Row, run: events.Row) -> None:
        if row.version.phase == events.Phase.SINCE:
            self._attempts[row.attempt] = queries.attempt_after(self._attempts.get(row.attempt), row, run)
            while len(self._attempts) > queries.MAX_ATTEMPTS:
                del self._attempts[min(self._attempts)]

    def flush(self, seq: int) -> None:
        """Send what differs from what was sent before, encoded once for all sockets."""
        self.changed = False
        listed = sorted(self._rows.values(), key=events.sort_key)[: self.key.limit]
        now = {row.id: row for row in listed}
        rows = [row for row in listed if self.sent.get(row.id) != row]
        removed = [run_id for run_id in self.sent if run_id not in now]
        is_same = (self._counts, self._attempts) == (self._sent_counts, self._sent_attempts)
        self._snapshot, self.sent = "", now
        self.seq = self.seq if self.doubtful else seq
        if is_same and not (rows or removed or self.restarting):
            return
        self._sent_counts, self._sent_attempts = dict(self._counts), dict(self._attempts)
        restarting, self.restarting = self.restarting, False
        frame = "" if restarting else self._frame({"seq": self.seq, "runs": rows, "removed": removed})
        for outbox, subs in self.outboxes.items():
            for sub in subs:
                if restarting:
                    outbox.fall_behind(sub)
                else:
                    outbox.put(sub, "changes", frame)

    def snapshot(self) -> str:
        """Return the whole list as of the last flush, without its opening; encoded once per flush."""
        if not self._snapshot:
            self._snapshot = self._frame({"epoch": self.epoch, "seq": self.seq, "runs": list(self.sent.values())})
        return self._snapshot

    def resume(self, changed: set[str]) -> str | None:
        """Return what changed for a socket that was away, given the runs of the viewer's to see that changed since.

        None when one of them is not on the list: it may have left it, and an unchanged one may have moved up.
        """
        if not changed <= self.sent.keys():
            return None
        rows = [row for row in self.sent.values() if row.id in changed]
        return self._frame({"seq": self.seq, "runs": rows, "removed": [], "resumed": True})

    def _frame(self, fields: dict[str, Any]) -> str:
        fields["counts"] = self._sent_counts
        if self.key.run_id:
            fields["attempts"] = [self._sent_attempts[number] for number in sorted(self._sent_attempts)]
        return events.encode(fields).decode()[1:]


def list_key(viewer: queries.Viewer, filter: topics.Filter, limit: int | None) -> FeedKey:
    """Name the feed of a list; the limit is held within LIVE_MAX_PAGE_ROWS."""
    limit = min(max(conf.live.PAGE_ROWS if limit is None else limit, 1), conf.live.MAX_PAGE_ROWS)
    return FeedKey(viewer=viewer, filter=filter, limit=limit)
