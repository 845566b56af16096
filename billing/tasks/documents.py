"""The run that makes a PDF."""

from __future__ import annotations

from celery import shared_task
from django.db import transaction
from django.utils.translation import gettext as _

from billing.models import Invoice
from billing.queueing import enqueue
from billing.services import documents
from billing.tasks.base import AGAIN


@shared_task(name="billing.make_pdf", **AGAIN)
def make_pdf(invoice_id: int) -> str:
    """Make and store an invoice's PDF; safe to run twice, or twice at once."""
    return str(documents.store_pdf(invoice_id).pdf_sha256)


@transaction.atomic
def queue_pdf(invoice: Invoice) -> str:
    """Queue a run that makes the PDF, and return its id; "" on the invoice says that no worker could be told."""
    mine = Invoice.objects.filter(pk=invoice.pk)
    run_id = enqueue(
        make_pdf,
        invoice.pk,
        title=_("PDF of %(invoice)s") % {"invoice": invoice},
        link=invoice.get_absolute_url(),
        on_refusal=lambda: mine.update(pdf_run_id=""),
    )
    mine.update(pdf_run_id=run_id, pdf_error="")
    return run_id
