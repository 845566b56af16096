"""Invoices whose due day has passed."""

from __future__ import annotations

from datetime import date

from billing.models import Invoice
from billing.services import balances


def mark_overdue(day: date) -> int:
    """Mark what was due before this day and is not paid, and return how many it were; again on that day: none."""
    is_in_time = (Invoice.State.ISSUED, Invoice.State.PARTLY_PAID)
    late = balances.open_invoices().filter(state__in=is_in_time, due_on__lt=day)
    return late.update(state=Invoice.State.OVERDUE)
