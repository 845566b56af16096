"""The end of the log in memory: which runs changed since when, and what they are now. Bounded by LIVE_TAIL_ROWS."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from live import conf, current, events

#: One try of a run: its id and the attempt's number.
Try = tuple[str, int]


class Change(NamedTuple):
    """One try that changed."""

    #: What the run was known as before; None when it was not known.
    before: events.Row | None
    #: The try as it is now; the run is this, merged with what it was before.
    row: events.Row
    #: Whether this is the first that could be heard of the run.
    is_new: bool = False


class _Known(NamedTuple):
    seq: int
    row: events.Row


class Tail:
    """The newest entries, without a hole."""

    def __init__(self) -> None:
        self.epoch = ""
        #: The last entry taken; all up to it were.
        self.seq = 0
        #: How often the tail began anew, also within an epoch.
        self.life = 0
        self._first_seq = 1
        self._entries: deque[tuple[int, list[Try]]] = deque()
        self._runs: dict[str, dict[int, _Known]] = {}
        self._rows = 0
        #: No row made after this moment was ever forgotten: what is not known of such a run never came.
        self._forgotten = 0

    def begin(self, epoch: str, seq: int) -> None:
        """Start anew, in another life of the log or behind a hole; the next entry is `seq` + 1."""
        self.epoch, self.seq, self._first_seq, self._rows = epoch, seq, seq + 1, 0
        self.life += 1
        self._forgotten = current.moment() if seq else 0
        self._entries.clear()
        self._runs.clear()

    def take(self, seq: int, rows: Iterable[events.Row]) -> list[Change]:
        """Take the next entry; return what it changed."""
        changes = []
        for row in merge_tries({}, rows).values():
            tries = self._runs.setdefault(row.id, {})
            before = tries[max(tries)].row if tries else None
            known = tries.get(row.attempt)
            after = row if known is None else events.merge(known.row, row)
            if known is None or after != known.row:
                tries[row.attempt] = _Known(seq, after)
                changes.append(Change(before, after, before is None and self.is_new(after)))
        self.seq = seq
        self._entries.append((seq, [(change.row.id, change.row.attempt) for change in changes]))
        self._rows += len(changes)
        self._bound()
        return changes

    def is_new(self, row: events.Row) -> bool:
        """Whether nothing can have been heard of the run before this row; a late `queued` of a forgotten run is not."""
        return row.state == events.State.QUEUED and row.attempt == 1 and row.version.moment > self._forgotten

    def learn(self, row: events.Row) -> None:
        """Take what the database had recorded of a run before the tail heard of it."""
        tries = self._runs.get(row.id)
        if tries:
            known = tries.get(row.attempt, _Known(max(known.seq for known in tries.values()), row))
            tries[row.attempt] = _Known(known.seq, events.merge(known.row, row))

    def _bound(self) -> None:
        while self._rows > conf.live.TAIL_ROWS or len(self._entries) > conf.live.TAIL_ROWS:
            seq, changed = self._entries.popleft()
            self._rows -= len(changed)
            self._first_seq = seq + 1
            for run_id, _ in changed:
                tries = self._runs.pop(run_id, {})
                kept = {number: known for number, known in tries.items() if known.seq > seq}
                if kept and max(tries) not in kept:
                    # As long as an earlier try is known, so is the last one: it is what the run is.
                    kept[max(tries)] = _Known(max(known.seq for known in kept.values()), tries[max(tries)].row)
                gone = [known.row.version.moment for number, known in tries.items() if number not in kept]
                self._forgotten = max(self._forgotten, *gone, 0)
                if kept:
                    self._runs[run_id] = kept

    def changed_since(self, epoch: str, seq: int, may_see: Callable[[events.Row], bool]) -> set[str] | None:
        """Return the runs that may be seen and changed after a seq; None when that lies outside of what is kept."""
        changed = self._tries_since(epoch, seq)
        return None if changed is None else {key[0] for key in changed if may_see(self._runs[key[0]][key[1]].row)}

    def rows_since(self, epoch: str, seq: int) -> dict[Try, events.Row] | None:
        """Return what changed after a seq as it is now, a run's earlier tries first; None as above."""
        changed = self._tries_since(epoch, seq)
        return None if changed is None else {key: self._runs[key[0]][key[1]].row for key in sorted(changed)}

    def _tries_since(self, epoch: str, seq: int) -> set[Try] | None:
        if epoch != self.epoch or not self._first_seq <= seq + 1 <= self.seq + 1:
            return None
        found: set[Try] = set()
        for entry_seq, changed in reversed(self._entries):
            if entry_seq <= seq:
                break
            found.update(changed)
        return found


def merge_tries(known: dict[Try, events.Row], rows: Iterable[events.Row]) -> dict[Try, events.Row]:
    """Merge any rows of any runs into one row a try, on top of those known."""
    for row in rows:
        key = row.id, row.attempt
        known[key] = events.merge(known[key], row) if key in known else row
    return known


def unrecorded(
    ahead: dict[Try, events.Row], newest: dict[Try, events.Row], left: dict[Try, events.Row] | None
) -> list[events.Row]:
    """Leave out what came while the database was read and was recorded before it answered: that was counted there."""
    kept = newest if left is None else left
    # The tail may have forgotten what the log still told, so one does not simply replace the other.
    merged = merge_tries(dict(ahead), newest.values())
    return [row for key, row in sorted(merged.items()) if key in ahead or key in kept]
