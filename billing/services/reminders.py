"""Reminders of invoices that are not paid: three steps, each once, and never two in a row."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet

from billing.models import Invoice, Mail, Reminder
from billing.services import balances, mails

#: Days after the due day from which on a step is taken; the first is step 1.
STEP_DAYS = (7, 21, 35)
#: Days between two steps of an invoice, also when the first came late: a customer needs time to pay.
PAUSE_DAYS = 7


class Outcome(NamedTuple):
    """What came of one invoice or customer: an e-mail, or no good address for it, or nothing as none was due."""

    mail: Mail | None = None
    #: The customer's number.
    without_email: str = ""


def due(day: date) -> QuerySet[Invoice]:
    """Invoices that need a step on this day, the longest due first."""
    found = balances.open_invoices().filter(disputed=False)
    found = found.annotate(steps=Count("reminders"), last_on=Max("reminders__made_on"))
    is_late = Q()
    for steps, days in enumerate(STEP_DAYS):
        is_late |= Q(steps=steps, due_on__lte=day - timedelta(days=days))
    has_paused = Q(last_on__isnull=True) | Q(last_on__lte=day - timedelta(days=PAUSE_DAYS))
    return found.filter(is_late, has_paused).order_by("due_on", "pk")


@transaction.atomic
def remind(invoice_id: int, day: date) -> Outcome:
    """Take the invoice's next step if it is due, and ask for its e-mail; one that is paid meanwhile has none."""
    Invoice.objects.select_for_update().get(pk=invoice_id)
    invoice = due(day).select_related("customer").filter(pk=invoice_id).first()
    if invoice is None:
        return Outcome()
    customer, step = invoice.customer, invoice.reminders.count() + 1
    try:
        mail, _is_new = mails.ask(
            Mail.Kind.REMINDER, f"reminder:{invoice.pk}:{step}", customer, customer.email, invoice
        )
    except ValidationError:
        return Outcome(without_email=customer.number)
    Reminder.objects.create(invoice=invoice, step=step, made_on=day)
    return Outcome(mail)
