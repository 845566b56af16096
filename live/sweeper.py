"""What nobody says: runs whose worker is gone become `lost` or wait again, and old runs leave the database."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple

from django.db import InterfaceError, OperationalError
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
#: Runs in no worker's hands whose result is looked for at one look, and hours after which one is lost without any.
_MAX_FREE = 100
_FREE_HOURS = 24
#: Runs called lost at one look.
_MAX_LOST = 1_000
#: Seconds that one look may go on asking the result backend, as the lease does not wait.
_ASK_S = 2.0
#: Seconds that a run waits for a result backend that fails, before it is lost without its word.
_UNKNOWN_S = 300.0
#: What a worker's silence makes of its runs, until it is heard again.
_GONE = "WorkerGone"
#: What the recorder must know of: it waits, and begins anew.
_AWAY = (*stream.Unavailable, OperationalError, InterfaceError)

#: A run whose worker tells no end, and what it is when the result backend knows of none either.
_Untold = tuple[events.Row, Callable[[events.Row], events.Row | None]]


class _Doubt(NamedTuple):
    """A run of which the result backend could say nothing, on the monotonic clock."""

    since: float
    #: When it was last asked for this very run; 0 for not yet.
    asked_at: float = 0.0


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
        self._doubts: dict[str, _Doubt] = {}
        self._free_up_to = ""

    def sweep_if_due(self) -> None:
        """Called by the recorder between its writes."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S and now - self._watching_since >= conf.live.WORKER_GONE_S:
            self._looked_at = now
            _aside(self.sweep_lost)
            _aside(notices.send_due)
        if now - self._pruned_at >= _PRUNE_S and _aside(self.prune) < _PRUNE_RUNS:
            self._pruned_at = now

    def sweep_lost(self) -> int:
        """Announce what became of the runs whose worker tells no end, or is heard again; return how many."""
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
        untold: list[_Untold] = [(queries.to_row(run), _orphaned) for run in orphaned]
        untold += [(queries.to_row(run), _unreported) for run in unreported]
        untold += [(queries.to_row(run), _overdue) for run in self._next_free()]
        rows = [_found(queries.to_row(run)) for item in beats.items() for run in _wrongly_lost(*item)]
        rows += filter(None, self._ends(untold))
        for row in rows:
            publish.publisher().put(row)
            extra = {"action": "run_orphaned", "run_id": row.id, "worker": row.worker}
            logger.warning("Nobody told what became of a run; it is %s.", row.state, extra=extra)
        return len(rows)

    def _next_free(self) -> list[Run]:
        """Return the next runs in no worker's hands: replaced ones, which go on as other tasks, and eager ones."""
        horizon = timezone.now() - timedelta(seconds=_UNREPORTED_S)
        free = Run.objects.filter(state=events.State.RUNNING, worker="", started_at__lt=horizon)
        found = list(free.filter(id__gt=self._free_up_to).order_by("id")[:_MAX_FREE])
        self._free_up_to = found[-1].id if len(found) == _MAX_FREE else ""
        return found

    def _ends(self, untold: list[_Untold]) -> Iterator[events.Row | None]:
        """Yield the runs as the result backend has their end, None for one that goes on: what was stored was done.

        While it fails, it is asked once a look, and the runs wait for its word, though not for ever.
        """
        begun, fails, doubts = time.monotonic(), False, {}
        for row, otherwise in sorted(untold, key=lambda one: self._doubts.get(one[0].id, _Doubt(0.0)).asked_at):
            now, doubt = time.monotonic(), self._doubts.get(row.id)
            if not fails and now - begun < _ASK_S:
                try:
                    end = tracking.stored_end(row) or otherwise(row)
                except Exception as error:
                    # Any backend of anybody's.
                    extra = {"action": "result_unknown", "run_id": row.id}
                    logger.warning("No result to be had. %r", error, extra=extra)
                    fails, doubt = True, _Doubt(doubt.since if doubt else begun, asked_at=now)
                else:
                    yield end
                    continue
            if doubt and now - doubt.since >= _UNKNOWN_S:
                yield otherwise(row)
            elif doubt or fails:
                doubts[row.id] = doubt or _Doubt(begun)
        self._doubts = doubts

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


def _wrongly_lost(worker: str, beat: stream.Heartbeat) -> QuerySet[Run]:
    """Return the runs that a worker has had all the time, though it was silent for so long that they were called lost.

    A run that it began in another life came back to it, and may only wait there.
    """
    if beat.holding is None or beat.age_s > conf.live.WORKER_GONE_S:
        return Run.objects.none()
    lost = Run.objects.filter(state=events.State.LOST, error__type=_GONE, worker=worker)
    return lost.filter(id__in=beat.holding.ids, started_at__gte=current.to_time(beat.boot))


def _aside(work: Callable[[], int]) -> int:
    """Do what recording must not wait for: what nobody thought of is logged, and tried again when it is due again."""
    try:
        return work()
    except _AWAY:
        raise
    except Exception:
        logger.exception("%s failed; recording goes on.", work.__name__, extra={"action": "sweep_failed"})
        return 0


def _found(row: events.Row) -> events.Row:
    """Return the row of a run that goes on after all."""
    return replace(row, state=events.State.RUNNING, error=None, version=_next(row))


def _lost(row: events.Row, kind: str, message: str) -> events.Row:
    """Return the row of a run that ended, nobody knows how; if its end is told after all, that wins."""
    return replace(row, state=events.State.LOST, error=events.Error(kind, message), version=_next(row))


def _next(row: events.Row) -> events.Version:
    return events.Version(row.attempt, events.Phase.SINCE, row.version.moment + 1)


def _waiting(row: events.Row) -> events.Row:
    """Return the row of a run that had not begun, so that its message goes to a worker again.

    At once when its worker stopped in order, after the visibility timeout when it was killed or lost the broker.
    """
    version = events.Version(row.attempt, events.Phase.BEFORE, row.version.moment + 1)
    return replace(row, state=events.State.QUEUED, worker="", received_at=None, version=version)


def _unreported(row: events.Row) -> events.Row:
    """Return the row of a run that its living worker has no more."""
    if row.state == events.State.RECEIVED:
        return _waiting(row)
    return _lost(row, "EndUnknown", f"{row.worker} is done with it, and never said how it ended")


def _orphaned(row: events.Row) -> events.Row:
    """Return the row as its worker left it, by what the database knows: what the log still has that is newer wins."""
    if row.state == events.State.RECEIVED:
        return _waiting(row)
    return _lost(row, _GONE, f"{row.worker} gave no sign of life")


def _overdue(row: events.Row) -> events.Row | None:
    """Return the row of a run in no worker's hands, if it told no end for so long; else None."""
    if row.started_at is None or row.started_at > timezone.now() - timedelta(hours=_FREE_HOURS):
        return None
    return _lost(row, "EndUnknown", f"nobody said for {_FREE_HOURS} hours how it ended")
