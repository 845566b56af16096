"""The words for a row, when the server draws it. `static/live/format.js` says the same when the browser does.

Nothing here depends on the language of the request: tests/js/words.json holds both to the same texts.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import NamedTuple

from live import events

KIND_WORDS = {"scheduled": "scheduled", "ad_hoc": "ad hoc", "child": "child"}
SHORT_ID_CHARS = 8
SECONDS_CHARS = len("2026-11-22 12:53:04")
SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Span(NamedTuple):
    """What the clock of a row shows."""

    #: for: it goes on; took: it is over; ago: a moment; at: a moment, in full.
    mode: str
    #: What stands before the time.
    words: str
    start: datetime | None
    #: None while it goes on.
    end: datetime | None


def number(value: float | None) -> str:
    """Write 69,659 for 69659, with two decimals at most; a dash for what is no number."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")


def elapsed(ms: float) -> str:
    """Say how long something that still goes on has lasted: "12 s", "3 min 04 s", "2 h 05 min", "3 d 4 h"."""
    rest = max(0, int(ms))
    if rest < MINUTE_MS:
        return f"{rest // SECOND_MS} s"
    if rest < HOUR_MS:
        return f"{rest // MINUTE_MS} min {rest % MINUTE_MS // SECOND_MS:02} s"
    if rest < DAY_MS:
        return f"{rest // HOUR_MS} h {rest % HOUR_MS // MINUTE_MS:02} min"
    return f"{rest // DAY_MS} d {rest % DAY_MS // HOUR_MS} h"


def took(ms: float) -> str:
    """Say how long something that is over took: "123 ms", "1.2 s", and from a minute on as `elapsed` does."""
    rest = max(0, int(ms))
    if rest < SECOND_MS:
        return f"{rest} ms"
    return f"{rest // SECOND_MS}.{rest % SECOND_MS // 100} s" if rest < MINUTE_MS else elapsed(rest)


def ago(ms: float) -> str:
    """Say how long ago something was, in one unit, or how long it is to come: "now", "12 s ago", "in 4 min 10 s"."""
    if ms <= -SECOND_MS:
        return f"in {elapsed(-ms)}"
    for unit_ms, unit in ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s")):
        if ms >= unit_ms:
            return f"{int(ms // unit_ms)} {unit} ago"
    return "now"


def iso(moment: datetime) -> str:
    """Write the moment as the wire does, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact(moment: datetime) -> str:
    """Write the moment for people: "2026-11-22 12:53:04.123 UTC"."""
    return iso(moment).replace("T", " ").replace("Z", " UTC")


def percent(progress: events.Progress | None) -> int | None:
    """Return 0 to 100, and 100 only when all is done; None while the total is unknown."""
    if progress is None or not progress.total or progress.total < 0:
        return None
    return min(100, max(0, math.floor(100 * progress.current / progress.total)))


def progress_text(progress: events.Progress | None) -> str:
    """Say how far it is: "43 % · 30,000 of 69,659 lines", or "30,000 lines" while the total is unknown."""
    if progress is None:
        return ""
    unit = f" {progress.unit}" if progress.unit else ""
    share = percent(progress)
    if share is None:
        return f"{number(progress.current)}{unit}"
    return f"{share} % · {number(progress.current)} of {number(progress.total)}{unit}"


def span(row: events.Row) -> Span:
    """Say which two moments a row's clock lies between, and what it says."""
    start = row.started_at or row.queued_at
    is_retrying = row.state == events.State.RETRYING
    if is_retrying and row.eta:
        return Span("ago", "again", row.eta, None)
    if row.state == events.State.RUNNING:
        return Span("for", "running for", start, None)
    if row.finished_at:
        return Span("took", "took" if row.started_at else "waited", start, row.finished_at)
    if row.state in events.ENDED or not row.state:
        return Span("took", "", start, None)
    if row.eta:
        return Span("ago", "due", row.eta, None)
    return Span("for", "retrying for" if is_retrying else "queued for", row.queued_at, None)


def clock(mode: str, start: datetime | None, end: datetime | None, now: datetime) -> str:
    """Write the time that a `<live-time>` shows; "" when there is none to show."""
    if start is None or (mode == "took" and end is None):
        return ""
    ms = ((end or now) - start).total_seconds() * 1000
    if mode == "at":
        return f"{exact(start)[:SECONDS_CHARS]} UTC · {ago(ms)}"
    return {"for": elapsed, "took": took, "ago": ago}[mode](ms)


def texts(row: events.Row) -> dict[str, str]:
    """Return the text of each `[data-field]` slot that shows one; "" when there is nothing to say."""
    error = ": ".join(part for part in (row.error.type, row.error.message) if part) if row.error else ""
    result = "" if row.result in (None, "null") else str(row.result)
    message = row.progress.message if row.progress else ""
    kind = KIND_WORDS.get(row.kind, row.kind)
    return {
        "title": row.title or row.task,
        "subtitle": row.task if row.title else "",
        "task": row.task,
        "id": row.id,
        "short_id": row.id[:SHORT_ID_CHARS],
        "state": row.state,
        "how": row.schedule or kind,
        "by": row.owner or ("scheduled" if row.schedule else ""),
        "kind": kind,
        "schedule": row.schedule,
        "owner": row.owner,
        "queue": row.queue,
        "worker": row.worker,
        "attempt": str(row.attempt),
        "tries": f"attempt {row.attempt}" if row.attempt > 1 else "",
        "parent": row.parent or "",
        "root": row.root if row.root and row.root != row.id else "",
        "args": row.args,
        "kwargs": row.kwargs,
        "result": row.result or "",
        "error": error,
        "traceback": row.error.traceback if row.error else "",
        "progress": progress_text(row.progress),
        "message": message,
        "outcome": error or result or ("" if row.final else message),
    }
