"""The runs that send e-mails."""

from __future__ import annotations

from typing import Any

from celery import Task, shared_task
from django.db import transaction
from django.utils.translation import gettext as _

from billing.exceptions import MailNotSentError, MailUnclearError
from billing.models import Invoice, InvoiceRun, Mail
from billing.queueing import enqueue
from billing.services import mails
from billing.tasks.base import GOES_ON
from live import progress

INVOICES_PER_CHUNK = 200


@shared_task(name="billing.email_invoice", bind=True, **GOES_ON)
def email_invoice(self: Task[Any, Any], mail_id: int) -> str:
    """Send one mail, whatever it carries; what may pass is tried again, with growing waits."""
    mail, wait_s = mails.deliver(mail_id, run_id=self.request.id or "")
    if wait_s is not None:
        # The mail counts its tries and ends them, so Celery does not.
        raise self.retry(exc=MailNotSentError(mail.error), countdown=wait_s, max_retries=None)
    if mail.state == Mail.State.FAILED:
        raise MailNotSentError(mail.error)
    if mail.state == Mail.State.UNCLEAR:
        raise MailUnclearError(mail.error)
    return str(mail.state)


@shared_task(name="billing.email_invoice_run", **GOES_ON)
def email_invoice_run(invoice_run_id: int, asked_by_id: int | None = None) -> dict[str, int]:
    """Ask for and queue one mail for each invoice of an invoice run; who has no address is counted."""
    ids = list(mails.to_send(invoice_run_id).values_list("pk", flat=True))
    queued = lacking = 0
    with progress.bar(total=len(ids), unit="invoices") as bar:
        for start in range(0, len(ids), INVOICES_PER_CHUNK):
            chunk = ids[start : start + INVOICES_PER_CHUNK]
            with transaction.atomic():
                asked = mails.ask_for_invoices(chunk, asked_by_id)
                for mail in asked.mails:
                    queue_mail(mail)
            queued += len(asked.mails)
            lacking += asked.lacking
            bar.advance(len(chunk))
            bar.message(_("%(count)s without an e-mail address") % {"count": lacking} if lacking else "")
    return {"queued": queued, "without_email": lacking, "asked_before": len(ids) - queued - lacking}


@transaction.atomic
def queue_mail(mail: Mail) -> str:
    """Queue a run that sends a mail which waits, and return its id; the mail has none when no worker could be told."""
    mine = Mail.objects.filter(pk=mail.pk)
    run_id = enqueue(
        email_invoice,
        mail.pk,
        title=_("%(what)s to %(address)s") % {"what": mails.subject_of(mail), "address": mail.address},
        link=mail.get_absolute_url(),
        on_refusal=lambda: mine.filter(run_id=run_id).update(run_id=""),
    )
    mine.update(run_id=run_id)
    mail.run_id = run_id
    return run_id


@transaction.atomic
def queue_invoice_run(record: InvoiceRun, asked_by_id: int | None) -> str:
    """Queue a run that sends all invoices of an invoice run, and return its id."""
    mine = InvoiceRun.objects.filter(pk=record.pk)
    run_id = enqueue(
        email_invoice_run,
        record.pk,
        asked_by_id,
        title=_("E-mails of invoice run %(run)s") % {"run": record},
        link=record.get_absolute_url(),
        on_refusal=lambda: mine.filter(mail_run_id=run_id).update(mail_run_id=""),
    )
    mine.update(mail_run_id=run_id)
    return run_id


@transaction.atomic
def send_invoice(invoice: Invoice, user: Any) -> Mail:
    """Ask for an invoice's mail to its customer and queue it if it is new, or waits and nobody works on it."""
    customer = invoice.customer
    mail, is_new = mails.ask(Mail.Kind.INVOICE, f"invoice:{invoice.pk}", customer, customer.email, invoice, user)
    if is_new or mail.needs_run:
        queue_mail(mail)
    return mail


@transaction.atomic
def send_again(mail: Mail, user: Any) -> Mail:
    """Send what a person wants sent again: an unclear mail once more, of a sent or failed one another copy.

    One that waits and that nobody works on is queued; any other is left as it is.
    """
    if mail.state == Mail.State.UNCLEAR:
        mail = mails.decide(mail.pk, user, was_sent=False)
        queue_mail(mail)
        return mail
    wanted, is_new = mails.ask(
        mail.kind, mail.subject_key, mail.customer, mail.address, mail.invoice, asked_by=user, again=True
    )
    if is_new or wanted.needs_run:
        queue_mail(wanted)
    return wanted


def retry_stuck() -> int:
    """Queue mails again that wait though no run works on them, and return how many."""
    with transaction.atomic():
        stuck = mails.take_up_stuck()
        for mail in stuck:
            queue_mail(mail)
    return len(stuck)
