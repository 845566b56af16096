"""One topic as one viewer sees it, kept up to date in memory and shared by every socket that asked for the same."""

from __future__ import annotations

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

    def shows(self, row: events.Row) -> bool:
        """Whether the row is on this list."""
        if self.run_id:
            return row.id == self.run_id and self.viewer.may_see(row)
        return self.viewer.may_see(row) and self.filter.matches(row)

    def counts(self, row: events.Row) -> bool:
        """Whether the row is in this list's counts."""
        return not self.run_id and self.viewer.may_see(row) and self.filter.matches_scope(row)

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
        self.loaded = False
        #: The database must be asked again: a run came up of which the hub does not know what it was before.
        self.doubtful = False
        self.refreshing = False
        #: Another life of the log began, and the sockets wait for the whole.
        self.restarting = False
        self.changed = False
        self.seq = 0
        self.sent: dict[str, events.Row] = {}
        self._rows: dict[str, events.Row] = {}
        self._counts: dict[str, int] = {}
        self._sent_counts: dict[str, int] = {}
        self._attempts: dict[int, queries.AttemptRow] = {}
        self._more = False
        self._snapshot = ""

    def restart(self) -> None:
        """The log began another life: read again, then send every socket the whole."""
        self.doubtful = self.restarting = True

    def load(self, reading: queries.Reading, ahead: dict[str, events.Row], asked: set[str]) -> None:
        """Take what the database has, brought up to date with the rows that the log is ahead with.

        `asked` are the runs whose stored rows were asked for; of one that came up since, nobody knows yet whether the
        database had counted it.
        """
        self._more = len(reading.rows) > self.key.window
        self._rows = {row.id: row for row in reading.rows[: self.key.window]}
        self._counts = dict(reading.counts)
        self._attempts = {attempt.number: attempt for attempt in reading.attempts}
        stored = {**reading.stored, **self._rows}
        self.doubtful = False
        for row in ahead.values():
            before = stored.get(row.id)
            if before is None and row.id not in asked and not _is_new(row):
                self.doubtful = True
            self._apply(before, row)
        self.loaded = True

    def apply(self, before: events.Row | None, row: events.Row) -> None:
        """Take a run's new row; `before` is the run as the hub knew it, None when it did not."""
        if not self.loaded or (before is None and not self._relevant(row)):
            return
        before = self._rows.get(row.id, before)
        if before is None and not _is_new(row):
            self.doubtful = True
        self._apply(before, row)
        if len(self._rows) < self.key.limit and self._more:
            self.doubtful = True

    def _relevant(self, row: events.Row) -> bool:
        return row.id in self._rows or self.key.shows(row) or self.key.counts(row)

    def _apply(self, before: events.Row | None, row: events.Row) -> None:
        row = row if before is None else events.merge(before, row)
        if before is not None and self.key.counts(before):
            self._counts[before.state] = self._counts.get(before.state, 0) - 1
            self.changed = True
        if self.key.counts(row):
            self._counts[row.state] = self._counts.get(row.state, 0) + 1
            self.changed = True
        if self.key.shows(row):
            self._rows[row.id] = row
            self._note_attempt(row)
            self._bound()
            self.changed = True
        elif self._rows.pop(row.id, None) is not None:
            self.changed = True

    def _note_attempt(self, row: events.Row) -> None:
        if self.key.run_id and row.version.phase == events.Phase.SINCE:
            self._attempts[row.attempt] = queries.AttemptRow(
                row.attempt, row.state, row.worker, row.started_at, row.finished_at, row.error
            )

    def _bound(self) -> None:
        if len(self._rows) > self.key.window:
            oldest = max(self._rows.values(), key=events.sort_key)
            del self._rows[oldest.id]
            self._more = True

    def flush(self, seq: int) -> None:
        """Send what differs from what was sent before, encoded once for all sockets."""
        self.changed = False
        listed = sorted(self._rows.values(), key=events.sort_key)[: self.key.limit]
        now = {row.id: row for row in listed}
        rows = [row for row in listed if self.sent.get(row.id) != row]
        removed = [run_id for run_id in self.sent if run_id not in now]
        self._snapshot, self.sent, self.seq = "", now, seq
        if not (rows or removed or self._counts != self._sent_counts or self.restarting):
            return
        self._sent_counts = dict(self._counts)
        restarting, self.restarting = self.restarting, False
        frame = "" if restarting else self._frame({"seq": seq, "runs": rows, "removed": removed})
        for outbox, subs in self.outboxes.items():
            for sub in subs:
                if restarting:
                    outbox.fall_behind(sub)
                else:
                    outbox.put(sub, "changes", frame)

    def snapshot(self, epoch: str) -> str:
        """Return the whole list as of the last flush, without its opening; encoded once per flush."""
        if not self._snapshot:
            self._snapshot = self._frame({"epoch": epoch, "seq": self.seq, "runs": list(self.sent.values())})
        return self._snapshot

    def resume(self, changed: set[str]) -> str:
        """Return what changed for a socket that was away, given the runs that changed since.

        When one has left the list, an unchanged run may have moved up into it, so then the whole list goes.
        """
        removed = [run_id for run_id in changed if run_id not in self.sent]
        rows = [row for row in self.sent.values() if removed or row.id in changed]
        return self._frame({"seq": self.seq, "runs": rows, "removed": removed, "resumed": True})

    def _frame(self, fields: dict[str, Any]) -> str:
        fields["counts"] = self._sent_counts
        if self.key.run_id:
            fields["attempts"] = [self._attempts[number] for number in sorted(self._attempts)]
        return events.encode(fields).decode()[1:]


def _is_new(row: events.Row) -> bool:
    """Whether this is the first that can be heard of a run."""
    return bool(row.state == events.State.QUEUED and row.attempt == 1)


def list_key(viewer: queries.Viewer, filter: topics.Filter, limit: int | None) -> FeedKey:
    """Name the feed of a list; the limit is held within LIVE_MAX_PAGE_ROWS."""
    limit = min(max(limit or conf.live.PAGE_ROWS, 1), conf.live.MAX_PAGE_ROWS)
    return FeedKey(viewer=viewer, filter=filter, limit=limit)
