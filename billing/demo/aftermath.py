"""What is left to do today in the demo's company: overdue invoices, reminders, e-mails in each state, a credit note."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any

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


def make(clerk: Any, manager: Any, random: Random) -> None:
    """Do all that, in the caller's transaction."""
    overdue.mark_overdue(today())
    send_invoices(clerk, random)
    remind()
    mistaken = random.choice(ours().filter(state=Invoice.State.ISSUED)[:50])
    invoicing.void(mistaken.pk, manager)


def send_invoices(clerk: Any, random: Random) -> None:
    """Ask for the e-mails of the newest invoices as a clerk does, and say what became of each without sending it."""
    newest = ours().filter(kind=Invoice.Kind.INVOICE).select_related("customer")[:SENT_INVOICES]
    asked = [_ask(invoice, clerk) for invoice in newest]
    for mail in asked:
        assert mail.invoice is not None and mail.invoice.issued_on is not None
        _note_sent(mail, mail.invoice.issued_on)
    special = random.sample(asked, FAILED_MAILS + UNCLEAR_MAILS + WAITING_MAILS)
    for mail in special[:FAILED_MAILS]:
        _note(mail, Mail.State.FAILED, NO_MAILBOX)
    for mail in special[FAILED_MAILS:-WAITING_MAILS]:
        _note(mail, Mail.State.UNCLEAR, LOST)
    for mail in special[-WAITING_MAILS:]:
        _note(mail, Mail.State.WAITING, "")
    _save(asked)


def remind() -> None:
    """Take the steps that were due on some days until today, of a few invoices."""
    late = list(reminders.due(today()).filter(customer__number__in=people.numbers())[:REMINDED_INVOICES])
    for days in (28, 14, 0):
        day = today() - timedelta(days=days)
        outcomes = [reminders.remind(invoice.pk, day) for invoice in late]
        made = [outcome.mail for outcome in outcomes if outcome.mail]
        for mail in made:
            _note_sent(mail, day)
        _save(made)


def _ask(invoice: Invoice, clerk: Any) -> Mail:
    mail, _is_new = mails.ask(
        kind=Mail.Kind.INVOICE,
        subject_key=f"invoice:{invoice.pk}",
        customer=invoice.customer,
        address=invoice.customer.email,
        invoice=invoice,
        asked_by=clerk,
    )
    return mail


def _note_sent(mail: Mail, day: date) -> None:
    mail.created_at = mail.changed_at = mail.sent_at = moment(day)
    mail.state, mail.tries, mail.message_id = Mail.State.SENT, 1, f"<demo-{mail.pk}@example.com>"


def _note(mail: Mail, state: Mail.State, error: str) -> None:
    mail.state, mail.error, mail.sent_at, mail.message_id = state, error, None, ""
    mail.tries = int(state != Mail.State.WAITING)
    mail.changed_at = timezone.now()


def _save(mails_: list[Mail]) -> None:
    names = ["state", "tries", "error", "message_id", "created_at", "changed_at", "sent_at"]
    Mail.objects.bulk_update(mails_, names, batch_size=100)
