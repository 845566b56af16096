"""What nobody says: runs whose worker is gone become `lost`, and old runs leave the database."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.utils import timezone
from msgspec.structs import replace

from live import conf, current, events, publish, queries, stream
from live.models import Run

logger = logging.getLogger(__name__)

#: Seconds between two looks for runs whose worker is gone.
_LOOK_S = 3.0
#: Seconds between two removals of old runs, and how many go at once.
_PRUNE_S = 60.0
_PRUNE_RUNS = 1_000
_MAX_LOST = 1_000


class Sweeper:
    """Belongs to the active recorder, so that there is one."""

    def __init__(self, log: stream.Log) -> None:
        self._log = log
        self._pruned_at = time.monotonic()
        self.restart()

    def restart(self) -> None:
        """Wait anew before anything is called lost: while Redis was away, no worker could give a sign of life."""
        self._watching_since = self._looked_at = time.monotonic()

    def sweep_if_due(self) -> None:
        """Called by the recorder between its writes."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S and now - self._watching_since >= conf.live.WORKER_GONE_S:
            self._looked_at = now
            self.sweep_lost()
        if now - self._pruned_at >= _PRUNE_S:
            self._pruned_at = now
            self.prune()

    def sweep_lost(self) -> int:
        """Announce as lost each run whose worker is gone or has begun another life; return how many."""
        beats = self._log.heartbeats()
        held = Run.objects.filter(state__in=[events.State.RECEIVED, events.State.RUNNING]).exclude(worker="")
        lost = [row for row in map(queries.to_row, held[:_MAX_LOST]) if is_gone(row, beats.get(row.worker))]
        for row in lost:
            version = events.Version(row.attempt, events.Phase.SINCE, current.moment())
            error = events.Error("WorkerGone", f"{row.worker} gave no sign of life")
            publish.publisher().put(replace(row, state=events.State.LOST, error=error, version=version))
            logger.warning("A run's worker is gone.", extra={"action": "run_lost", "run_id": row.id})
        return len(lost)

    def prune(self) -> None:
        """Remove finished runs older than LIVE_KEEP_DAYS."""
        if conf.live.KEEP_DAYS:
            horizon = timezone.now() - timedelta(days=conf.live.KEEP_DAYS)
            old = Run.objects.filter(queued_at__lt=horizon, state__in=events.ENDED).values_list("id", flat=True)
            Run.objects.filter(id__in=list(old[:_PRUNE_RUNS])).delete()


def is_gone(row: events.Row, beat: stream.Heartbeat | None) -> bool:
    """Whether the worker that held the run lives no more, or is another by the same name."""
    if beat is None or beat.age_s > conf.live.WORKER_GONE_S:
        return True
    taken_at = row.started_at or row.received_at
    return taken_at is not None and taken_at < current.to_time(beat.boot)
