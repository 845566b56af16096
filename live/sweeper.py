"""What nobody says: runs whose worker is gone become `lost` or wait again, and old runs leave the database."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.db.models import QuerySet
from django.db.models.functions import Coalesce
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
#: Runs called lost at one look.
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
        if now - self._pruned_at >= _PRUNE_S and self.prune() < _PRUNE_RUNS:
            self._pruned_at = now

    def sweep_lost(self) -> int:
        """Announce what became of the runs whose worker is gone or has begun another life; return how many."""
        beats = self._log.heartbeats()
        held = Run.objects.filter(state__in=[events.State.RECEIVED, events.State.RUNNING]).exclude(worker="")
        lost: list[events.Row] = []
        for worker in held.order_by().values_list("worker", flat=True).distinct():
            orphans = _orphans(held.filter(worker=worker), beats.get(worker))[: _MAX_LOST - len(lost)]
            lost += [_orphaned(queries.to_row(run)) for run in orphans]
        for row in lost:
            publish.publisher().put(row)
            logger.warning("A run's worker is gone.", extra={"action": "run_orphaned", "run_id": row.id})
        return len(lost)

    def prune(self) -> int:
        """Remove finished runs older than LIVE_KEEP_DAYS, a bounded number at once; return how many."""
        if not conf.live.KEEP_DAYS:
            return 0
        horizon = timezone.now() - timedelta(days=conf.live.KEEP_DAYS)
        old = Run.objects.filter(queued_at__lt=horizon, state__in=events.ENDED).order_by("queued_at")
        ids = list(old.values_list("id", flat=True)[:_PRUNE_RUNS])
        Run.objects.filter(id__in=ids).delete()
        return len(ids)


def _orphans(held: QuerySet[Run], beat: stream.Heartbeat | None) -> QuerySet[Run]:
    """Return those of a worker's runs that it holds no more: all when it is gone, the old ones when it began anew."""
    if beat is None or beat.age_s > conf.live.WORKER_GONE_S:
        return held
    return held.alias(taken_at=Coalesce("started_at", "received_at")).filter(taken_at__lt=current.to_time(beat.boot))


def _orphaned(row: events.Row) -> events.Row:
    """Return the row as its worker left it, by what the database knows: what the log still has that is newer wins.

    One that had begun is lost. One that had not waits again: its message goes to another worker, at once when this one
    stopped in order, after the visibility timeout when it was killed.
    """
    if row.state == events.State.RECEIVED:
        version = events.Version(row.attempt, events.Phase.BEFORE, row.version.moment + 1)
        return replace(row, state=events.State.QUEUED, worker="", received_at=None, version=version)
    version = events.Version(row.attempt, events.Phase.SINCE, row.version.moment + 1)
    error = events.Error("WorkerGone", f"{row.worker} gave no sign of life")
    return replace(row, state=events.State.LOST, error=error, version=version)
