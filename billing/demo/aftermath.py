"""What is left to do today in the demo's company: overdue invoices, reminders, e-mails in each state, a credit note."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from billing.company import today
from billing.demo import people
from billing.demo.clock import moment
from billing.models import Invoice, Mail
from billing.services import invoicing, mails, overdue, reminders

#: Of the newest invoices so many were sent; before them nothing is known of e-mails.
SENT_INVOICES = 240
REMINDED_INVOICES = 12
FAILED_MAILS, UNCLEAR_MAILS, WAITING_MAILS = 3, 2, 2
NO_MAILBOX = "550 5.1.1 No such mailbox here"
LOST = "The worker was lost while the mail was being handed over."


def ours() -> QuerySet[Invoice]:
    """Invoices of the demo's customers."""
    return Invoice.objects.filter(customer__number__in=people.numbers())


def is_done() -> bool:
    """Whether the demo came to its end: its last step is the credit note."""
    return ours().filter(kind=Invoice.Kind.CREDIT_NOTE).exists()


def make(clerk: Any, manager: Any) -> None:
    """Do all that, in short transactions; what was done before is left as it is."""
    random = Random(people.SEED)
    overdue.mark_overdue(today())
    send_invoices(clerk, random)
    remind()
    mistaken = random.choice(ours().filter(state=Invoice.State.ISSUED)[:50])
    invoicing.void(mistaken.pk, manager)


def send_invoices(clerk: Any, random: Random) -> None:
    """Ask for the e-mails of the newest invoices as a clerk does, and say what became of each without sending it."""
    newest = list(ours().filter(kind=Invoice.Kind.INVOICE).select_related("customer")[:SENT_INVOICES])
    special = random.sample(newest, FAILED_MAILS + UNCLEAR_MAILS + WAITING_MAILS)
    failed, unclear = special[:FAILED_MAILS], special[FAILED_MAILS:-WAITING_MAILS]
    for invoice in newest:
        with transaction.atomic():
            mail, is_new = _ask(invoice, clerk)
            if not is_new:
                continue
            if invoice not in special:
                assert invoice.issued_on is not None
                _note_sent(mail, invoice.issued_on)
            elif invoice in failed:
                _note(mail, Mail.State.FAILED, NO_MAILBOX)
            elif invoice in unclear:
                _note(mail, Mail.State.UNCLEAR, LOST)


def remind() -> None:
    """Take the steps that were due on some days until today, of a few invoices."""
    reminded = ours().filter(reminders__isnull=False).distinct()
    late = reminders.due(today()).filter(customer__number__in=people.numbers()).exclude(pk__in=reminded.values("pk"))
    for invoice in list(late[: max(0, REMINDED_INVOICES - reminded.count())]):
        with transaction.atomic():
            for days in (28, 14, 0):
                day = today() - timedelta(days=days)
                mail = reminders.remind(invoice.pk, day).mail
                if mail:
                    _note_sent(mail, day)


def _ask(invoice: Invoice, clerk: Any) -> tuple[Mail, bool]:
    return mails.ask(
        kind=Mail.Kind.INVOICE,
        subject_key=f"invoice:{invoice.pk}",
        customer=invoice.customer,
        address=invoice.customer.email,
        invoice=invoice,
        asked_by=clerk,
    )


def _note_sent(mail: Mail, day: date) -> None:
    then = moment(day)
    _write(mail, then, Mail.State.SENT, created_at=then, sent_at=then, message_id=f"<demo-{mail.pk}@example.com>")


def _note(mail: Mail, state: Mail.State, error: str) -> None:
    _write(mail, timezone.now(), state, error=error)


def _write(mail: Mail, changed_at: datetime, state: Mail.State, **fields: Any) -> None:
    # Not save(): it would set `changed_at` to now.
    Mail.objects.filter(pk=mail.pk).update(state=state, tries=1, changed_at=changed_at, **fields)
