"""Read side: takes the log into the database, in bulk, with the position in the same transaction.

So each row lands once, whatever crashes when, and a task never waits for the database. One recorder is active at a
time: a lease in Redis says which, and the position, compared inside the transaction, holds even if two believe it.
"""

from __future__ import annotations

import atexit
import logging
import secrets
import threading
from collections.abc import Iterable
from typing import Any

import msgspec
from django.db import DataError, Error, IntegrityError, connection, transaction
from django.utils import timezone

from live import conf, events, notices, queries, stream, topics
from live.models import Attempt, LogPosition, Run
from live.sweeper import Sweeper
from live.tail import merge_tries

logger = logging.getLogger(__name__)

#: Entries written in one transaction.
_BATCH_ENTRIES = 100
#: Rows after which a transaction takes no further entry.
_BATCH_ROWS = 2_000
#: Seconds between two writes: rows of one run that come meanwhile cost one write, and SQLite's other writers a turn.
_GATHER_S = 0.2
#: Seconds between two writes while there is more to write.
_BREATH_S = 0.02
#: Milliseconds an idle recorder waits at Redis for the next entry; at most half of what a command may take.
_BLOCK_MS = 500
#: Seconds until another try, while Redis or the database is away.
_RETRY_S = 1.0
#: Seconds the end of the process waits for the lease to be given back.
_STOP_S = 2.0
#: What a database or its driver raises for a value that it does not take.
_REFUSALS = (DataError, IntegrityError, OverflowError, ValueError)


class PositionMoved(Exception):
    """Another recorder wrote since this one last looked."""


class Recorder:
    """Reads the log and writes rows, for as long as it holds the lease."""

    def __init__(self) -> None:
        self.log = stream.Log()
        self.position: stream.Head | None = None
        #: Whether the last step left nothing in the log that was there when it began.
        self.caught_up = False
        self._token = secrets.token_hex(8)
        self._sweeper = Sweeper(self.log)

    def run(self, stop: threading.Event) -> None:
        """Record until `stop` is set; called in a thread of its own, or by `manage.py live_recorder`."""
        while not stop.is_set():
            try:
                if not self._hold_lease():
                    self.position = None
                    stop.wait(conf.live.LEASE_S / 3)
                    continue
                if self.step(block_ms=max(1, min(_BLOCK_MS, int(conf.live.REDIS_TIMEOUT_S * 500)))):
                    stop.wait(_GATHER_S if self.caught_up else _BREATH_S)
                if self.caught_up:
                    self._sweeper.sweep_if_due()
            except PositionMoved:
                self.position = None
            except (*stream.Unavailable, stream.RedisTooOld, stream.redis.ResponseError, Error) as error:
                self._recover(error)
                stop.wait(_RETRY_S)
        self._release()
        connection.close()

    def step(self, block_ms: int | None = None) -> int:
        """Record what the log holds, one transaction at most, and return how many entries that were."""
        head = self.log.head()
        if self.position is None:
            self.position = stream.Head(*queries.position())
        if head.epoch != self.position.epoch or head.seq < self.position.seq:
            logger.info("The log began another life.", extra={"action": "record_epoch", "epoch": head.epoch})
            self.position = self._move(self.position, stream.Head(head.epoch, 0), [])
            self._sweeper.restart()  # the signs of life may be gone with the log
        entries = self.log.read(self.position.seq, _BATCH_ENTRIES, block_ms)
        self.caught_up = not entries
        if not entries:
            return 0
        if entries[0].seq > self.position.seq + 1 and self.position.seq:
            missed = entries[0].seq - self.position.seq - 1
            logger.error("The log dropped %d entries unread.", missed, extra={"action": "record_missed"})
        rows, seq = _decode(entries)
        self.position = self._move(self.position, stream.Head(head.epoch, seq), rows)
        self.caught_up = seq >= head.seq
        self.log.trim(seq - conf.live.LOG_KEEP_ENTRIES)
        return seq - entries[0].seq + 1

    def _move(self, held: stream.Head, to: stream.Head, rows: list[events.Row]) -> stream.Head:
        with transaction.atomic():
            found, _ = LogPosition.objects.select_for_update().get_or_create(id=1)
            if (found.epoch, found.seq) != held:
                raise PositionMoved
            _store_what_can_be([row for row in rows if _is_storable(row)])
            LogPosition.objects.filter(id=1).update(epoch=to.epoch, seq=to.seq, recorded_at=timezone.now())
        return to

    def _hold_lease(self) -> bool:
        name, lease_ms = stream.key("recorder"), int(conf.live.LEASE_S * 1000)
        if self.log.redis.set(name, self._token, nx=True, px=lease_ms):
            self._sweeper.restart()
            return True
        if self.log.redis.get(name) != self._token.encode():
            return False
        self.log.redis.pexpire(name, lease_ms)
        return True

    def _release(self) -> None:
        try:
            if self.log.redis.get(stream.key("recorder")) == self._token.encode():
                self.log.redis.delete(stream.key("recorder"))
        except stream.Unavailable as error:
            logger.info("The lease runs out by itself. %s", error, extra={"action": "record_release_failed"})
        self.log.close()

    def _recover(self, error: Exception) -> None:
        logger.warning("Recording waits. %s", error, extra={"action": "record_waits"})
        self.position = None
        self._sweeper.restart()
        if isinstance(error, Error):
            connection.close()


def _decode(entries: Iterable[stream.Entry]) -> tuple[list[events.Row], int]:
    """Return the rows of the entries, as many as one transaction should take, and the last seq among them."""
    rows: list[events.Row] = []
    seq = 0
    for entry in entries:
        rows += events.decode_entry(entry.seq, entry.rows)
        seq = entry.seq
        if len(rows) >= _BATCH_ROWS:
            break
    return rows, seq


def _is_storable(row: events.Row) -> bool:
    """Whether the row has an id that the database can hold: cut, it would be another run's."""
    if topics.is_askable(row.id):
        return True
    logger.error("A row is refused for its id.", extra={"action": "record_refused", "run_id": row.id[:100]})
    return False


def _store_what_can_be(rows: list[events.Row]) -> None:
    """Store the rows; when the database refuses one, halve until it is alone, and store all others."""
    try:
        with transaction.atomic():
            store(rows)
    except _REFUSALS as error:
        if len(rows) == 1:
            logger.error("A row is refused. %s", error, extra={"action": "record_refused", "run_id": rows[0].id})
            return
        _store_what_can_be(rows[: len(rows) // 2])
        _store_what_can_be(rows[len(rows) // 2 :])


def store(rows: list[events.Row]) -> None:
    """Merge rows into the database; called inside a transaction."""
    merged = events.merge_all(rows)
    stored = queries.rows_by_id(merged)
    for run_id, known in stored.items():
        merged[run_id] = events.merge(known, merged[run_id])
    Run.objects.bulk_create(
        [to_run(row) for row in merged.values()],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=[field.name for field in Run._meta.concrete_fields if field.name != "id"],
        batch_size=500,
    )
    _store_attempts(rows, merged)
    found = [merged[known.id] for known in stored.values() if known.state == events.State.LOST]
    notices.tell_again(row for row in found if row.state != events.State.LOST)


def _store_attempts(rows: list[events.Row], merged: dict[str, events.Row]) -> None:
    tries = merge_tries({}, (row for row in rows if row.version.phase == events.Phase.SINCE))
    stored = {
        (attempt.run_id, attempt.number): queries.to_attempt_row(attempt)
        # Not every stored try of theirs: a run may be retried for ever.
        for attempt in Attempt.objects.filter(
            run_id__in={run_id for run_id, _ in tries}, number__in={number for _, number in tries}
        )
    }
    Attempt.objects.bulk_create(
        [to_attempt(key[0], queries.attempt_after(stored.get(key), row, merged[key[0]])) for key, row in tries.items()],
        update_conflicts=True,
        unique_fields=["run", "number"],
        update_fields=["state", "worker", "started_at", "finished_at", "error"],
        batch_size=500,
    )


def to_attempt(run_id: str, row: queries.AttemptRow) -> Attempt:
    """Write a try as the stored attempt."""
    return Attempt(
        run_id=run_id,
        number=row.number,
        state=row.state,
        worker=_storable(row.worker)[:255],
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=_storable(row.error),
    )


def to_run(row: events.Row) -> Run:
    """Write a row as the stored run; texts are cut to what the columns hold."""
    values: dict[str, Any] = {name: getattr(row, name) for name in queries.PLAIN_FIELDS}
    for field in Run._meta.concrete_fields:
        if isinstance(values.get(field.name), str):
            values[field.name] = _storable(values[field.name])[: field.max_length]
    values["queued_at"] = row.queued_at or row.received_at or row.started_at or timezone.now()
    return Run(
        **values,
        progress=_storable(row.progress),
        error=_storable(row.error),
        version_attempt=row.version.attempt,
        version_phase=row.version.phase,
        version_moment=row.version.moment,
    )


def _storable(value: Any) -> Any:
    """Return a text, or a struct as a dictionary of such, without NUL, which PostgreSQL refuses."""
    if isinstance(value, msgspec.Struct):
        return {name: _storable(part) for name, part in msgspec.structs.asdict(value).items()}
    return value.replace("\x00", "") if isinstance(value, str) else value


_thread: threading.Thread | None = None
_stop = threading.Event()
_starting = threading.Lock()


def start_thread(**_: Any) -> None:
    """Start the recorder in a thread of this process, once, unless LIVE_EMBED_RECORDER is off."""
    global _thread
    if not conf.live.EMBED_RECORDER:
        return
    with _starting:
        if _thread is None or not _thread.is_alive():
            _stop.clear()
            _thread = threading.Thread(target=_run_until_stopped, name="live-recorder", daemon=True)
            _thread.start()
            atexit.register(stop_thread)


def stop_thread() -> None:
    """Have the thread give its lease back, so that the next process need not wait for it; called as this one ends."""
    if _thread is not None:
        _stop.set()
        _thread.join(_STOP_S)


def _run_until_stopped() -> None:
    while not _stop.is_set():
        try:
            Recorder().run(_stop)
        except Exception:
            logger.exception("The recorder failed and starts again.", extra={"action": "recorder_failed"})
            connection.close()
            _stop.wait(_RETRY_S)
