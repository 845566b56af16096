"""E-mails: asked for once, handed over once, and what became of each.

A mail is `sending` in the database before the first word to the mail server, and `sent` after its "250". So one whose
worker died in between is found in `sending`: it is never sent again by itself, a person decides.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from billing import mail_texts
from billing.addresses import validate_ascii
from billing.exceptions import DocumentError, MailDecidedError, MailRefusedError
from billing.models import Customer, Invoice, Mail
from billing.sending import Answer, Outcome, Sender, describe
from billing.services import documents

logger = logging.getLogger(__name__)

#: Seconds to wait after each try in vain. Each is below the broker's visibility timeout.
WAITS_S = (30, 60, 120, 300, 600, 600, 600)
MAX_TRIES = len(WAITS_S) + 1
#: Longer than the longest wait: nobody works on a mail that waits or is being sent for so long.
STUCK_AFTER = timedelta(minutes=15)
STUCK_BATCH = 500  # mails taken up at once
MAX_ERROR_CHARS = 500

State = Mail.State


def ask(
    kind: str,
    subject_key: str,
    customer: Customer,
    address: str,
    invoice: Invoice | None = None,
    asked_by: Any = None,
    again: bool = False,
) -> tuple[Mail, bool]:
    """Return the mail of this key, kind and address, and whether it is new.

    With `again` a person wants another one; that is made only if the last one is at its end. Raises ValidationError
    for the address, MailRefusedError for the invoice.
    """
    validate_email(address)
    validate_ascii(address)
    if invoice and (reason := why_not(kind, invoice)):
        raise MailRefusedError(reason)
    key = {"subject_key": subject_key, "kind": kind, "address": address}
    last = Mail.objects.filter(**key).order_by("-number").first()
    if last and not (again and last.state in (State.SENT, State.FAILED)):
        return last, False
    number = last.number + 1 if last else 1
    try:
        with transaction.atomic():
            mail = Mail.objects.create(**key, number=number, customer=customer, invoice=invoice, asked_by=asked_by)
    except IntegrityError:  # somebody asked at the same moment
        return Mail.objects.get(**key, number=number), False
    return mail, True


def why_not(kind: str, invoice: Invoice) -> str:
    """Return why no e-mail of this kind goes out for an invoice as it is now; "" when one may."""
    known = {"number": invoice, "state": invoice.get_state_display()}
    if invoice.number is None:
        return _("A draft is not sent; issue the invoice first.")
    if invoice.state == Invoice.State.VOID:
        return _("Invoice %(number)s is void; only its credit note is sent.") % known
    if kind == Mail.Kind.REMINDER and invoice.disputed:
        return _("Invoice %(number)s is disputed; nobody is reminded of it.") % known
    if kind == Mail.Kind.REMINDER and not invoice.open:
        return _("Invoice %(number)s is %(state)s; nobody is reminded of it.") % known
    return ""


def to_send(invoice_run_id: int) -> QuerySet[Invoice]:
    """Invoices of an invoice run that are to be sent."""
    issued = Invoice.objects.filter(invoice_run=invoice_run_id, kind=Invoice.Kind.INVOICE)
    return issued.exclude(state__in=[Invoice.State.DRAFT, Invoice.State.VOID]).order_by("pk")


class Asked(NamedTuple):
    """What is to be queued, and for how many invoices there is no address."""

    mails: list[Mail]
    lacking: int


@transaction.atomic
def ask_for_invoices(invoice_ids: Iterable[int], asked_by_id: int | None) -> Asked:
    """Ask for the mails of many invoices; those that were asked for before are left out."""
    made, lacking = [], 0
    asked_by = get_user_model().objects.get(pk=asked_by_id) if asked_by_id else None
    for invoice in Invoice.objects.filter(pk__in=invoice_ids).select_related("customer").order_by("pk"):
        address = invoice.customer.email
        try:
            mail, is_new = ask(Mail.Kind.INVOICE, f"invoice:{invoice.pk}", invoice.customer, address, invoice, asked_by)
        except ValidationError:
            lacking += 1
            continue
        except MailRefusedError:  # it was made void in this moment
            continue
        if is_new or mail.needs_run:
            made.append(mail)
    return Asked(made, lacking)


def subject_of(mail: Mail) -> str:
    """Return what a mail is about, for a run's title."""
    if mail.invoice is not None:
        return f"{mail.get_kind_display().capitalize()} {mail.invoice}"
    return str(mail.get_kind_display().capitalize())


def deliver(mail_id: int, run_id: str = "") -> tuple[Mail, int | None]:
    """Try to send a mail that waits; return it, and the seconds to wait if it shall be tried again.

    Any other mail is left as it is, but for one that this very run was sending when its worker died: that is unclear.
    """
    mail = Mail.objects.select_related("customer", "invoice").get(pk=mail_id)
    if mail.state == State.SENDING and run_id and mail.run_id == run_id:
        _settle(mail, State.UNCLEAR, _("The worker ended while the e-mail was being sent."))
    if mail.state != State.WAITING:
        return mail, None
    if mail.invoice and (reason := why_not(mail.kind, mail.invoice)):
        return _end(mail, Outcome(Answer.NEVER, reason), State.WAITING)
    sender = Sender()
    try:
        if mail.invoice_id and mail_texts.has_pdf(mail):
            mail.invoice = documents.store_pdf(mail.invoice_id)
        message = mail_texts.compose(mail)
        sender.open()
    except ValidationError as error:  # an address that was kept before it was looked at like this
        return _end(mail, Outcome(Answer.NEVER, " ".join(error.messages)), State.WAITING)
    except ValueError as error:  # a header with two lines
        return _end(mail, Outcome(Answer.NEVER, describe(error)), State.WAITING)
    except (DocumentError, OSError) as error:
        text = str(error) if isinstance(error, DocumentError) else describe(error)
        return _end(mail, Outcome(Answer.LATER, text), State.WAITING)
    try:
        if not _take(mail, run_id, message.extra_headers["Message-ID"]):
            return mail, None
        return _end(mail, sender.send(message), State.SENDING)
    finally:
        sender.close()


def _take(mail: Mail, run_id: str, message_id: str) -> bool:
    """Turn waiting into sending, for one of all who try at once."""
    return _change(
        mail, [State.WAITING], state=State.SENDING, run_id=run_id or mail.run_id, message_id=message_id, error=""
    )


def _end(mail: Mail, outcome: Outcome, was: str) -> tuple[Mail, int | None]:
    """Write down what became of a try; it counts, whether or not it came to the dialogue."""
    tries = mail.tries + 1
    if outcome.answer == Answer.LATER and tries < MAX_TRIES:
        if _change(mail, [was], state=State.WAITING, tries=tries, error=outcome.error):
            return mail, WAITS_S[tries - 1]
        return mail, None
    states = {Answer.SENT: State.SENT, Answer.UNKNOWN: State.UNCLEAR}
    state = states.get(outcome.answer, State.FAILED)
    # Who was sending knows better than who found it unclear meanwhile.
    _change(
        mail,
        [was, State.UNCLEAR] if was == State.SENDING else [was],
        state=state,
        tries=tries,
        error=outcome.error,
        sent_at=timezone.now() if state == State.SENT else None,
    )
    return mail, None


def _settle(mail: Mail, state: str, error: str) -> None:
    _change(mail, [State.SENDING], state=state, error=error)


def _change(mail: Mail, states: list[str], **fields: Any) -> bool:
    """Change a mail if it is in one of the states; False means that somebody else was first."""
    fields["error"] = fields["error"][:MAX_ERROR_CHARS]
    was_first = Mail.objects.filter(pk=mail.pk, state__in=states).update(**fields, changed_at=timezone.now()) == 1
    if was_first:
        extra = {"action": "mail_changed", "mail": mail.pk}
        logger.info("E-mail %s is %s. %s", mail.pk, fields["state"], fields["error"], extra=extra)
    mail.refresh_from_db()
    return was_first


@transaction.atomic
def decide(mail_id: int, user: Any, was_sent: bool) -> Mail:
    """Note what a person found out about an unclear mail: it went out, or it waits to be sent again.

    Raises MailDecidedError.
    """
    mail = Mail.objects.select_for_update().get(pk=mail_id)
    if mail.state != State.UNCLEAR:
        raise MailDecidedError(_("There is nothing to decide: the e-mail is %s.") % mail.get_state_display())
    mail.state = State.SENT if was_sent else State.WAITING
    mail.sent_at = mail.changed_at if was_sent else None
    mail.tries = 0
    mail.error = ""
    mail.save()
    extra = {"action": "mail_decided", "mail": mail.pk}
    logger.info("%s decided that e-mail %s is %s.", user, mail.pk, mail.state, extra=extra)
    return mail


@transaction.atomic
def take_up_stuck() -> list[Mail]:
    """Return mails that wait though no run works on them, to be queued again; what was left in `sending` is unclear."""
    now = timezone.now()
    stuck = Mail.objects.select_for_update(of=("self",)).filter(changed_at__lt=now - STUCK_AFTER)
    stuck.filter(state=State.SENDING).update(
        state=State.UNCLEAR, error=_("The worker ended while the e-mail was being sent."), changed_at=now
    )
    waiting = list(stuck.filter(state=State.WAITING).select_related("customer", "invoice").order_by("pk")[:STUCK_BATCH])
    Mail.objects.filter(pk__in=[mail.pk for mail in waiting]).update(changed_at=now)
    return waiting
