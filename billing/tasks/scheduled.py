"""What beat starts by the clock; two runs for the same due moment do the work once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import shared_task
from django.db import transaction

from billing.company import today
from billing.services import cleaning, overdue, reminders, statements
from billing.services.reminders import Outcome
from billing.tasks.base import GOES_ON
from billing.tasks.mails import queue_mail, retry_stuck
from live import progress

#: Customers without an e-mail address whose numbers a result holds; it counts all.
MAX_NAMED = 50


@shared_task(name="billing.mark_overdue", **GOES_ON)
def mark_overdue() -> dict[str, int]:
    """Mark invoices whose due day has passed."""
    return {"overdue": overdue.mark_overdue(today())}


@shared_task(name="billing.send_reminders", **GOES_ON)
def send_reminders() -> dict[str, Any]:
    """Take each invoice's next step of reminding that is due, and send its e-mail."""
    day = today()
    ids = list(reminders.due(day).values_list("pk", flat=True))
    return _send(ids, lambda invoice_id: reminders.remind(invoice_id, day), "invoices")


@shared_task(name="billing.send_statements", **GOES_ON)
def send_statements() -> dict[str, Any]:
    """Send last month's statement to each customer with a balance."""
    day = today()
    month = statements.last_month(day)
    ids = list(statements.due(month))
    return _send(ids, lambda customer_id: statements.make(customer_id, month, day), "customers")


@shared_task(name="billing.retry_stuck_mails", **GOES_ON)
def retry_stuck_mails() -> dict[str, int]:
    """Take up e-mails again that wait or are being sent for too long."""
    return {"retried": retry_stuck()}


@shared_task(name="billing.clean_up", **GOES_ON)
def clean_up() -> dict[str, int]:
    """Remove expired exports, and files that no row points at."""
    return cleaning.clean_up()._asdict()


def _send(ids: list[int], ask: Callable[[int], Outcome], unit: str) -> dict[str, Any]:
    queued, without_email = 0, set()
    for each in progress.track(ids, unit=unit):
        with transaction.atomic():
            outcome = ask(each)
            if outcome.mail:
                queue_mail(outcome.mail)
        queued += bool(outcome.mail)
        if outcome.without_email:
            without_email.add(outcome.without_email)
    return {
        "sent": queued,
        "customers_without_email": len(without_email),
        "their_numbers": sorted(without_email)[:MAX_NAMED],
    }
