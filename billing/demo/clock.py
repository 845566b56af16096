"""Days and moments of the demo's past."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from django.utils import timezone

MORNING = time(9)


def moment(day: date) -> datetime:
    """Return nine in the morning of a day."""
    return datetime.combine(day, MORNING, tzinfo=timezone.get_default_timezone())


def months_before(first: date, count: int) -> Iterator[date]:
    """Give the first days of so many months before one, the oldest first."""
    for back in range(count, 0, -1):
        month = first.year * 12 + first.month - 1 - back
        yield date(month // 12, month % 12 + 1, 1)


def last_day_of_month(day: date) -> date:
    """Return the last day of the month of a day."""
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
