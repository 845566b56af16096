"""The runs of invoice runs: one that makes the parts, one for each part, one when all are over."""

from __future__ import annotations

from typing import Any

from celery import chord, shared_task
from django.utils.translation import gettext as _

import live
from billing.models import InvoiceRun, InvoiceRunPart
from billing.queueing import enqueue
from billing.services import invoice_runs, part_billing
from billing.tasks.base import GOES_ON, NotingTask
from live import progress


@shared_task(name="billing.invoice_run", **GOES_ON)
def invoice_run(invoice_run_id: int) -> dict[str, int]:
    """Cut an invoice run into parts, and send the ones that are to be done."""
    parts = invoice_runs.make_parts(invoice_run_id)
    record = InvoiceRun.objects.get(pk=invoice_run_id)
    finish = finish_invoice_run.si(invoice_run_id).set(headers=_headers(record, _("Invoice run %(run)s: end")))
    if parts:
        chord([_signature(record, part) for part in parts], finish).apply_async()
    else:
        finish.apply_async()
    return {"parts": len(parts)}


@shared_task(
    name="billing.invoice_run_part", base=NotingTask, note=staticmethod(invoice_runs.note_part_failure), **GOES_ON
)
def invoice_run_part(part_id: int) -> dict[str, int]:
    """Bill the customers of one part that are not billed yet."""
    total = InvoiceRunPart.objects.values_list("customer_count", flat=True).get(pk=part_id)
    with progress.bar(total=total, unit="customers") as bar:
        part = part_billing.bill_part(part_id, on_customer=bar.set)
    return {"customers": part.customer_count}


@shared_task(name="billing.finish_invoice_run", **GOES_ON)
def finish_invoice_run(invoice_run_id: int) -> dict[str, Any]:
    """Say how the invoice run ended, when all parts came to their end."""
    record = invoice_runs.settle(invoice_run_id)
    found = invoice_runs.progress(record)
    return {"state": record.state, "invoices": found.invoices, "failures": found.failures}


def queue_run(record: InvoiceRun) -> None:
    """Queue an invoice run, in the transaction that confirmed it; with the broker down it waits to be started again."""
    mine = InvoiceRun.objects.filter(pk=record.pk)
    record.run_id = enqueue(
        invoice_run,
        record.pk,
        title=_("Invoice run %(run)s") % {"run": record},
        link=record.get_absolute_url(),
        on_refusal=lambda: mine.filter(run_id=record.run_id).update(run_id=""),
    )
    mine.update(run_id=record.run_id)


def _signature(record: InvoiceRun, part: InvoiceRunPart) -> Any:
    title = _("Invoice run %(run)s: part %(part)d") % {"run": record, "part": part.number}
    return invoice_run_part.si(part.pk).set(
        task_id=part.run_id, headers=live.headers(title=title, link=record.get_absolute_url())
    )


def _headers(record: InvoiceRun, title: str) -> dict[str, Any]:
    return live.headers(title=title % {"run": record}, link=record.get_absolute_url())
