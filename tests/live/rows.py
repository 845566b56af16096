"""Rows for tests: one made by hand, and hypothesis strategies for any at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from live import events, texts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make_row(run_id: str = "run-1", state: str = "running", **fields: Any) -> events.Row:
    """Make a row; `moment`, `phase` and `attempt` give its version."""
    attempt = fields.pop("attempt", 1)
    phase = fields.pop("phase", int(state not in ("queued", "received")))
    version = events.Version(attempt, phase, fields.pop("moment", 1))
    values: dict[str, Any] = {"task": "billing.import_charges", "queued_at": NOON, **fields}
    return events.Row(id=run_id, state=state, attempt=attempt, version=version, **values)


#: Any text that a row may carry: all of Unicode that `texts.clean` lets through.
hostile_texts = st.text(st.characters(), max_size=40).map(texts.clean)
_times = st.none() | st.datetimes(timezones=st.just(UTC))
_numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False, width=32)
#: Few moments, so that versions meet.
_moments = st.integers(1, 4)

progresses = st.builds(
    events.Progress,
    current=_numbers,
    total=st.none() | _numbers,
    unit=hostile_texts,
    message=hostile_texts,
    at=_moments,
)
errors = st.builds(events.Error, type=hostile_texts, message=hostile_texts, traceback=hostile_texts)


@st.composite
def rows(draw: st.DrawFn, ids: st.SearchStrategy[str] = st.just("run-1")) -> events.Row:  # noqa: B008
    """Any row of any run among `ids`."""
    attempt = draw(st.integers(1, 3))
    row = events.Row(
        id=draw(ids),
        task=draw(hostile_texts),
        title=draw(hostile_texts),
        state=draw(st.sampled_from(events.STATES)),
        kind=draw(st.sampled_from(events.KINDS)),
        worker=draw(hostile_texts),
        owner=draw(hostile_texts),
        attempt=attempt,
        progress=draw(st.none() | progresses),
        args=draw(hostile_texts),
        result=draw(st.none() | hostile_texts),
        error=draw(st.none() | errors),
        queued_at=draw(_times),
        started_at=draw(_times),
        version=events.Version(attempt, draw(st.integers(0, 1)), draw(_moments)),
    )
    return events.at_the_end(row) if draw(st.booleans()) else row
