"""The rows that wait in a process until Redis takes them: bounded, changes of state first, of progress the newest."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from live import conf, events

logger = logging.getLogger(__name__)


class Buffer:
    """Every change of state, and only the newest progress of a run. Not thread-safe."""

    def __init__(self) -> None:
        self.changes: deque[events.Row] = deque()
        #: What comes when `changes` is full: one row a run.
        self.squeezed: dict[str, events.Row] = {}
        self.progress: dict[str, Callable[[], events.Row]] = {}
        self._progress_sent: dict[str, float] = {}
        #: Rows that another row of the same run stands for, since the buffer was full.
        self.merged = 0
        #: Rows that are gone, since the buffer was full of other runs.
        self.dropped = 0

    def __len__(self) -> int:
        return len(self.changes) + len(self.squeezed) + len(self.progress)

    def put(self, row: events.Row) -> None:
        """Add a change of state. When it carries the run's progress, one that waits has nothing to add."""
        if row.progress is not None:
            self.progress.pop(row.id, None)
        if row.final:
            self._progress_sent.pop(row.id, None)
        if not self.squeezed and len(self.changes) < conf.live.BUFFER_ROWS:
            self.changes.append(row)
        else:
            self._squeeze(row)

    def _squeeze(self, row: events.Row) -> None:
        if not self.squeezed:
            before = len(self.changes)
            self.squeezed = events.merge_all(self.changes)
            self.changes.clear()
            self.merged += before - len(self.squeezed)
        known = self.squeezed.pop(row.id, None)
        self.squeezed[row.id] = row if known is None else events.merge(known, row)
        self.merged += known is not None
        if len(self.squeezed) > conf.live.BUFFER_ROWS:
            del self.squeezed[next(iter(self.squeezed))]
            self.dropped += 1

    def offer(self, run_id: str, make_row: Callable[[], events.Row]) -> None:
        """Add progress; `make_row` is called when it goes. Above the bound the one that waits longest is dropped."""
        self.progress[run_id] = make_row
        if len(self.progress) > conf.live.BUFFER_ROWS:
            del self.progress[next(iter(self.progress))]
            self.dropped += 1

    def next_due(self, now: float) -> float | None:
        """Return when something may go, on the monotonic clock; None when nothing waits."""
        if self.changes or self.squeezed:
            return now
        gap = 1 / conf.live.PROGRESS_PER_S
        return min((self._progress_sent.get(run_id, -gap) + gap for run_id in self.progress), default=None)

    def take(self, now: float) -> list[events.Row]:
        """Remove and return what may go now, as one batch."""
        limit = conf.live.BATCH_ROWS
        batch = [self.changes.popleft() for _ in range(min(len(self.changes), limit))]
        for run_id in list(self.squeezed)[: limit - len(batch)]:
            batch.append(self.squeezed.pop(run_id))
        horizon = now - 1 / conf.live.PROGRESS_PER_S
        due = [run_id for run_id in self.progress if self._progress_sent.get(run_id, horizon) <= horizon]
        for run_id in due[:limit]:
            self._progress_sent[run_id] = now
            make_row = self.progress.pop(run_id)
            try:
                batch.append(make_row())
            except Exception:
                # It is the task's own code that makes it.
                logger.exception("No progress of a run.", extra={"action": "progress_failed", "run_id": run_id})
        if len(self._progress_sent) > conf.live.BUFFER_ROWS:
            self._progress_sent.clear()
        return batch
