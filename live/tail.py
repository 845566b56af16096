"""The end of the log in memory: which runs changed since when, and what they are now. Bounded by LIVE_TAIL_ROWS."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from live import conf, events


class Tail:
    """The newest entries, without a hole."""

    def __init__(self) -> None:
        self.epoch = ""
        #: The last entry taken; all up to it were.
        self.seq = 0
        self._first_seq = 1
        self._entries: deque[tuple[int, list[str]]] = deque()
        self._runs: dict[str, tuple[int, events.Row]] = {}
        self._rows = 0

    def begin(self, epoch: str, seq: int) -> None:
        """Start anew in another life of the log; the next entry is `seq` + 1."""
        self.epoch, self.seq, self._first_seq, self._rows = epoch, seq, seq + 1, 0
        self._entries.clear()
        self._runs.clear()

    def take(self, seq: int, rows: Iterable[events.Row]) -> list[tuple[events.Row | None, events.Row]]:
        """Take the next entry; return, for each run that it changed, what it was known as before and what it is."""
        changes: dict[str, tuple[events.Row | None, events.Row]] = {}
        for run_id, row in events.merge_all(rows).items():
            before = self._runs[run_id][1] if run_id in self._runs else None
            after = row if before is None else events.merge(before, row)
            self._runs[run_id] = (seq, after)
            if after != before:
                changes[run_id] = (before, after)
        self.seq = seq
        self._entries.append((seq, list(changes)))
        self._rows += len(changes)
        self._bound()
        return list(changes.values())

    def _bound(self) -> None:
        while self._rows > conf.live.TAIL_ROWS or len(self._entries) > conf.live.TAIL_ROWS:
            seq, run_ids = self._entries.popleft()
            self._rows -= len(run_ids)
            self._first_seq = seq + 1
            for run_id in run_ids:
                if run_id in self._runs and self._runs[run_id][0] <= seq:
                    del self._runs[run_id]

    def changed_since(self, epoch: str, seq: int) -> set[str] | None:
        """Return the runs that changed after a seq, or None when that lies before what is kept."""
        if epoch != self.epoch or seq + 1 < self._first_seq:
            return None
        found: set[str] = set()
        for entry_seq, run_ids in reversed(self._entries):
            if entry_seq <= seq:
                break
            found.update(run_ids)
        return found

    def rows_since(self, epoch: str, seq: int) -> dict[str, events.Row] | None:
        """Return those runs as they are now."""
        changed = self.changed_since(epoch, seq)
        return None if changed is None else {run_id: self._runs[run_id][1] for run_id in changed}

    def known(self) -> dict[str, events.Row]:
        """Return every run that is kept, as it is now."""
        return {run_id: row for run_id, (_, row) in self._runs.items()}
