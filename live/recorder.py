"""Read side: takes the log into the database, in bulk, with the position in the same transaction.

So each row lands once, whatever crashes when, and a task never waits for the database. One recorder is active at a
time: a lease in Redis says which, and the position, compared inside the transaction, holds even if two believe it.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from django.db import DatabaseError, DataError, InterfaceError, connection, transaction
from django.utils import timezone

from live import conf, events, queries, stream
from live.models import Attempt, LogPosition, Run
from live.sweeper import Sweeper

logger = logging.getLogger(__name__)

#: Entries written in one transaction.
_BATCH_ENTRIES = 100
#: Rows after which a transaction takes no further entry.
_BATCH_ROWS = 2_000
#: Seconds between two writes: rows of one run that come meanwhile cost one write, and SQLite's other writers a turn.
_GATHER_S = 0.2
#: Seconds until another try, while Redis or the database is away.
_RETRY_S = 1.0


class PositionMoved(Exception):
    """Another recorder wrote since this one last looked."""


class Recorder:
    """Reads the log and writes rows, for as long as it holds the lease."""

    def __init__(self) -> None:
        self.log = stream.Log()
        self.position: stream.Head | None = None
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
                if self.step(block_ms=500):
                    stop.wait(_GATHER_S)
                self._sweeper.sweep_if_due()
            except PositionMoved:
                self.position = None
            except (*stream.Unavailable, stream.RedisTooOld, stream.redis.ResponseError, DatabaseError) as error:
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
            self.position = self._move(self.position, stream.Head(head.epoch, 0))
        entries = self.log.read(self.position.seq, _BATCH_ENTRIES, block_ms)
        if not entries:
            return 0
        if entries[0].seq > self.position.seq + 1 and self.position.seq:
            missed = entries[0].seq - self.position.seq - 1
            logger.error("The log dropped %d entries unread.", missed, extra={"action": "record_missed"})
        rows, seq = _decode(entries)
        self.position = self._move(self.position, stream.Head(head.epoch, seq), rows)
        self.log.trim(seq - conf.live.LOG_KEEP_ENTRIES)
        return len(entries)

    def _move(self, held: stream.Head, to: stream.Head, rows: Iterable[events.Row] = ()) -> stream.Head:
        rows = list(rows)
        try:
            self._write(held, to, lambda: store(rows))
        except DataError:
            self._write(held, to, lambda: _store_singly(rows))
        return to

    def _write(self, held: stream.Head, to: stream.Head, store_rows: Callable[[], None]) -> None:
        with transaction.atomic():
            found, _ = LogPosition.objects.select_for_update().get_or_create(id=1)
            if (found.epoch, found.seq) != held:
                raise PositionMoved
            store_rows()
            LogPosition.objects.filter(id=1).update(epoch=to.epoch, seq=to.seq, recorded_at=timezone.now())

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
        if isinstance(error, DatabaseError | InterfaceError):
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


def store(rows: Iterable[events.Row]) -> None:
    """Merge rows into the database; called inside a transaction."""
    rows = list(rows)
    merged = events.merge_all(rows)
    for run_id, known in queries.rows_by_id(merged).items():
        merged[run_id] = events.merge(known, merged[run_id])
    if not merged:
        return
    Run.objects.bulk_create(
        [to_run(row) for row in merged.values()],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=[field.name for field in Run._meta.concrete_fields if field.name != "id"],
        batch_size=500,
    )
    _store_attempts(rows, merged)


def _store_singly(rows: Iterable[events.Row]) -> None:
    """Store what can be stored, when the database refuses a row."""
    for row in rows:
        try:
            with transaction.atomic():
                store([row])
        except DataError as error:
            logger.error("A row is refused. %s", error, extra={"action": "record_refused", "run_id": row.id})


def _store_attempts(rows: Iterable[events.Row], merged: dict[str, events.Row]) -> None:
    tries: dict[tuple[str, int], events.Row] = {}
    for row in rows:
        if row.version.phase == events.Phase.SINCE:
            known = tries.get((row.id, row.attempt))
            tries[row.id, row.attempt] = row if known is None else events.merge(known, row)
    stored = {
        (attempt.run_id, attempt.number): attempt.state
        for attempt in Attempt.objects.filter(run_id__in={run_id for run_id, _ in tries})
    }
    over = events.ENDED | {events.State.RETRYING}
    writes = []
    for (run_id, number), row in tries.items():
        if merged[run_id].attempt == number:
            row = merged[run_id]
        elif stored.get((run_id, number)) in over and row.state not in over:
            continue
        writes.append(
            Attempt(
                run_id=run_id,
                number=number,
                state=row.state,
                worker=row.worker[:255],
                started_at=row.started_at,
                finished_at=row.finished_at,
                error=msgspec.to_builtins(row.error),
            )
        )
    Attempt.objects.bulk_create(
        writes,
        update_conflicts=True,
        unique_fields=["run", "number"],
        update_fields=["state", "worker", "started_at", "finished_at", "error"],
        batch_size=500,
    )


def to_run(row: events.Row) -> Run:
    """Write a row as the stored run; texts are cut to what the columns hold."""
    values: dict[str, Any] = {name: getattr(row, name) for name in queries.PLAIN_FIELDS}
    for field in Run._meta.concrete_fields:
        if field.max_length and isinstance(values.get(field.name), str):
            values[field.name] = values[field.name].replace("\x00", "")[: field.max_length]
    values["queued_at"] = row.queued_at or row.received_at or row.started_at or timezone.now()
    return Run(
        **values,
        progress=msgspec.to_builtins(row.progress),
        error=msgspec.to_builtins(row.error),
        version_attempt=row.version.attempt,
        version_phase=row.version.phase,
        version_moment=row.version.moment,
    )


_thread: threading.Thread | None = None
_starting = threading.Lock()


def start_thread(**_: Any) -> None:
    """Start the recorder in a thread of this process, once, unless LIVE_EMBED_RECORDER is off."""
    global _thread
    if _thread is not None or not conf.live.EMBED_RECORDER:
        return
    with _starting:
        if _thread is None:
            _thread = threading.Thread(target=_run_for_ever, name="live-recorder", daemon=True)
            _thread.start()


def _run_for_ever() -> None:
    while True:
        try:
            Recorder().run(threading.Event())
        except Exception:
            logger.exception("The recorder failed and starts again.", extra={"action": "recorder_failed"})
            connection.close()
            time.sleep(_RETRY_S)
