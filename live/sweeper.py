"""What nobody says: runs whose worker is gone become `lost` or wait again, and old runs leave the database."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from msgspec.structs import replace

from live import conf, current, events, notices, publish, queries, stream, tracking
from live.models import Run

logger = logging.getLogger(__name__)

#: Seconds between two looks for runs whose worker is gone.
_LOOK_S = 3.0
#: Seconds between two removals of old runs, and how many go at once.
_PRUNE_S = 60.0
_PRUNE_RUNS = 1_000
#: Seconds that the end of a run may take from its worker to the database.
_UNREPORTED_S = 5.0
#: Replaced runs whose result is looked for at one look.
_MAX_REPLACED = 100
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
        self._missed: set[str] = set()

    def sweep_if_due(self) -> None:
        """Called by the recorder between its writes."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S and now - self._watching_since >= conf.live.WORKER_GONE_S:
            self._looked_at = now
            self.sweep_lost()
            notices.send_due()
        if now - self._pruned_at >= _PRUNE_S and self.prune() < _PRUNE_RUNS:
            self._pruned_at = now

    def sweep_lost(self) -> int:
        """Announce what became of the runs whose worker is gone or has begun another life; return how many."""
        beats = self._log.heartbeats()
        held = Run.objects.filter(state__in=[events.State.RECEIVED, events.State.RUNNING]).exclude(worker="")
        orphaned: list[Run] = []
        missed: list[Run] = []
        for worker in held.order_by().values_list("worker", flat=True).distinct():
            runs, beat = held.filter(worker=worker), beats.get(worker)
            orphaned += _orphans(runs, beat)[: _MAX_LOST - len(orphaned)]
            missed += _let_go(runs, beat)[: _MAX_LOST - len(missed)]
        unreported = [run for run in missed if run.id in self._missed]
        self._missed = {run.id for run in missed}
        rows = [_stored_end(row) or _orphaned(row) for row in map(queries.to_row, orphaned)]
        rows += [_stored_end(row) or _unreported(row) for row in map(queries.to_row, unreported)]
        rows += [row for run in _replaced() if (row := _stored_end(queries.to_row(run)))]
        for row in rows:
            publish.publisher().put(row)
            extra = {"action": "run_orphaned", "run_id": row.id, "worker": row.worker}
            logger.warning("A run's worker tells no end; it is %s.", row.state, extra=extra)
        return len(rows)

    def prune(self) -> int:
        """Remove finished runs older than LIVE_KEEP_DAYS, a bounded number at once; return how many."""
        if not conf.live.KEEP_DAYS:
            return 0
        horizon = timezone.now() - timedelta(days=conf.live.KEEP_DAYS)
        old = Run.objects.filter(queued_at__lt=horizon, state__in=events.ENDED).order_by("queued_at")
        ids = list(old.values_list("id", flat=True)[:_PRUNE_RUNS])
        Run.objects.filter(id__in=ids).delete()
        notices.forget(horizon)
        return len(ids)


def _orphans(held: QuerySet[Run], beat: stream.Heartbeat | None) -> QuerySet[Run]:
    """Return those of a worker's runs that it holds no more: all when it is gone, the old ones when it began anew."""
    if beat is None or beat.age_s > conf.live.WORKER_GONE_S:
        return held
    return held.alias(taken_at=Coalesce("started_at", "received_at")).filter(taken_at__lt=current.to_time(beat.boot))


def _let_go(runs: QuerySet[Run], beat: stream.Heartbeat | None) -> QuerySet[Run]:
    """Return those of a living worker's runs that it no longer has, so that their end should have been told.

    A process of its pool that is killed takes with it what it had not yet announced.
    """
    if beat is None or beat.holding is None or beat.age_s > conf.live.WORKER_GONE_S:
        return runs.none()
    horizon = current.to_time(beat.holding.at) - timedelta(seconds=_UNREPORTED_S)
    taken = runs.alias(taken_at=Coalesce("started_at", "received_at")).filter(taken_at__lt=horizon)
    return taken.exclude(id__in=beat.holding.ids)


def _replaced() -> QuerySet[Run]:
    """Return runs that go on as other tasks, in no worker's hands: that one of these failed, only the result says."""
    horizon = timezone.now() - timedelta(seconds=_UNREPORTED_S)
    return Run.objects.filter(state=events.State.RUNNING, worker="", started_at__lt=horizon)[:_MAX_REPLACED]


def _stored_end(row: events.Row) -> events.Row | None:
    """Return the row as Celery's result backend has its end: what was stored was done, told or not."""
    try:
        return tracking.stored_end(row)
    except Exception as error:
        # Any backend of anybody's; without its word the run is lost, visibly.
        logger.warning("No result to be had. %r", error, extra={"action": "result_unknown", "run_id": row.id})
        return None


def _unreported(row: events.Row) -> events.Row:
    """Return the row of a run that ended, nobody knows how; if its end is told after all, that wins."""
    version = events.Version(row.attempt, events.Phase.SINCE, row.version.moment + 1)
    error = events.Error("EndUnknown", f"{row.worker} is done with it, and never said how it ended")
    return replace(row, state=events.State.LOST, error=error, version=version)


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
