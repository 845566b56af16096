"""The words: states, kinds, the row, its version and its codec. Imports nothing of ours; everything else speaks it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

logger = logging.getLogger(__name__)


class State(StrEnum):
    """Where a run stands; the glossary says what each means."""

    QUEUED = "queued"
    RECEIVED = "received"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


class Kind(StrEnum):
    """How a run came about."""

    SCHEDULED = "scheduled"
    AD_HOC = "ad_hoc"
    CHILD = "child"


STATES: tuple[str, ...] = tuple(State)
KINDS: tuple[str, ...] = tuple(Kind)
#: A run in one of these has ended, and only a later attempt changes it.
FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
#: A run in one of these has ended or its worker is gone: nothing moves on the page.
ENDED = FINAL | {State.LOST}


class Phase:
    """Which side of the start a row was made on. One process makes all rows of a phase, so its clock orders them."""

    BEFORE = 0
    SINCE = 1


#: Microseconds since 1970 in a far future, which a browser's numbers can tell exactly.
_BEHIND_ALL = 2**53


class Version(NamedTuple):
    """What orders two rows of one run, whenever they arrive."""

    attempt: int
    phase: int
    #: Microseconds since 1970; growing within the thread that made it.
    moment: int


class Progress(msgspec.Struct, frozen=True):
    """How far a run has come."""

    current: float | int
    #: None means that nobody knows how much there is to do.
    total: float | int | None = None
    unit: str = ""
    message: str = ""
    #: Microseconds since 1970; the newest of an attempt is the one shown. `at_the_end` dates what is last.
    at: int = 0


class Error(msgspec.Struct, frozen=True):
    """Why a run failed, is retried, or was cancelled."""

    type: str
    message: str
    #: The end of the traceback, bounded; "" when there is none.
    traceback: str = ""


class Row(msgspec.Struct, kw_only=True):
    """A run's whole small state as one flat record: what is sent, stored and shown.

    Whoever gets only the last row of a run knows the run. Times are aware UTC; `args` and `kwargs` are JSON text,
    bounded and with secrets struck out; None means not yet, or not known.
    """

    id: str
    task: str
    title: str = ""
    #: A path of this site: what the run works on; "" for none.
    link: str = ""
    state: str
    kind: str = Kind.AD_HOC
    #: The name of the schedule that sent it; "" for none.
    schedule: str = ""
    queue: str = ""
    worker: str = ""
    #: The username of the owner; "" for nobody.
    owner: str = ""
    attempt: int = 1
    progress: Progress | None = None
    args: str = ""
    kwargs: str = ""
    result: str | None = None
    error: Error | None = None
    queued_at: datetime | None = None
    received_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    #: Not before this time; None means at once.
    eta: datetime | None = None
    parent: str | None = None
    root: str | None = None
    group: str | None = None
    version: Version

    @property
    def final(self) -> bool:
        """Whether only a later attempt can still change it."""
        return self.state in FINAL


def rank(row: Row) -> tuple[Any, ...]:
    """Order the rows of one run: the highest is what the run is now, in whatever order they came.

    Within an attempt the first final row wins, as Celery's signals contradict each other after the end (a hard time
    limit fires `task_failure` twice, then a late postrun); then the start, then the clock. `lost` is not final here.
    """
    attempt, phase, moment = row.version
    if row.state in FINAL:
        return (attempt, 1, 0, -moment, row.state)
    return (attempt, 0, phase, moment, row.state)


def merge(one: Row, other: Row) -> Row:
    """Return what a run is, given two of its rows. Commutative, associative and idempotent.

    The higher row wins whole. Only the progress is chosen by its own clock, among the rows of the winning attempt: a
    row made by the worker's main process (cancelled, timed out) does not know how far the task had come.
    """
    winner, loser = (one, other) if _is_higher(one, other) else (other, one)
    if loser.version.attempt != winner.version.attempt or loser.progress is None:
        return winner
    if winner.progress is not None and _newer(winner.progress, loser.progress):
        return winner
    return msgspec.structs.replace(winner, progress=loser.progress)


def _is_higher(one: Row, other: Row) -> bool:
    rank_one, rank_other = rank(one), rank(other)
    if rank_one != rank_other:
        return rank_one > rank_other
    # Nearly always two progresses of one row. Two clocks that met in a microsecond are told apart by the text.
    bare_one, bare_other = (msgspec.structs.replace(row, progress=None) for row in (one, other))
    return bare_one == bare_other or encode(bare_one) > encode(bare_other)


def _newer(one: Progress, other: Progress) -> bool:
    return _progress_rank(one) >= _progress_rank(other)


def _progress_rank(progress: Progress) -> tuple[Any, ...]:
    total = (progress.total is not None, progress.total or 0)
    return (progress.at, progress.current, total, progress.unit, progress.message)


def at_the_end(row: Row) -> Row:
    """Date what a final row says of the progress behind all else, so that no second delivery takes its place.

    Of two ends the first stays, as it does among rows.
    """
    if row.progress is None or not row.final:
        return row
    last = msgspec.structs.replace(row.progress, at=_BEHIND_ALL - row.progress.at)
    return msgspec.structs.replace(row, progress=last)


def merge_all(rows: Iterable[Row]) -> dict[str, Row]:
    """Merge any rows of any runs into one row a run, in the order in which the runs first came."""
    merged: dict[str, Row] = {}
    for row in rows:
        known = merged.get(row.id)
        merged[row.id] = row if known is None else merge(known, row)
    return merged


def sort_key(row: Row) -> tuple[float, str]:
    """Order runs as every list shows them: newest first, told apart by id."""
    return (-(row.queued_at.timestamp() if row.queued_at else 0.0), row.id)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Row])
_raw_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_row_decoder = msgspec.json.Decoder(Row)

#: Encodes any wire value to JSON bytes; NaN and infinities become null.
encode = _encoder.encode


def encode_rows(rows: Iterable[Row]) -> bytes:
    """Encode a batch as the log and the channel layer carry it."""
    return _encoder.encode(list(rows))


def encode_what_can_be(rows: list[Row]) -> tuple[bytes, int]:
    """Encode a batch, b"" for none, without the rows that cannot be, which are logged; return how many too."""
    try:
        return encode_rows(rows) if rows else b"", 0
    except (TypeError, ValueError, OverflowError):
        good = [row for row in rows if _is_encodable(row)]
        return encode_rows(good) if good else b"", len(rows) - len(good)


def _is_encodable(row: Row) -> bool:
    try:
        return bool(encode(row))
    except (TypeError, ValueError, OverflowError) as error:
        logger.error("A row is lost. %s", error, extra={"action": "row_refused", "run_id": repr(row.id)})
        return False


def decode_rows(data: bytes | str) -> list[Row]:
    """Decode a batch; raises msgspec.DecodeError or msgspec.ValidationError for anything else."""
    return _decoder.decode(data)


def decode_entry(seq: int, data: bytes | str) -> list[Row]:
    """Decode one entry of the log; a row that nobody can read, or whose state is none of ours, is logged and left."""
    rows = _decode_what_can_be(seq, data)
    known = [row for row in rows if row.state in STATES]
    if len(known) < len(rows):
        logger.error("Entry %d of the log has a state of none of ours.", seq, extra={"action": "state_unknown"})
    return known


def _decode_what_can_be(seq: int, data: bytes | str) -> list[Row]:
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        logger.error("Entry %d of the log is not readable. %s", seq, error, extra={"action": "entry_unreadable"})
    try:
        return [row for raw in _raw_decoder.decode(data) for row in _decode_row(raw)]
    except (msgspec.MsgspecError, RecursionError):
        return []


def _decode_row(raw: msgspec.Raw) -> list[Row]:
    try:
        return [_row_decoder.decode(raw)]
    except (msgspec.MsgspecError, RecursionError):
        return []
