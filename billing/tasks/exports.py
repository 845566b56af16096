"""The runs of ledger exports."""

from __future__ import annotations

from celery import shared_task
from django.db import transaction
from django.utils.translation import gettext as _

from billing.models import LedgerExport
from billing.queueing import enqueue
from billing.services import exports
from billing.tasks.base import AGAIN, NotingTask
from live import progress


@shared_task(
    name="billing.export_ledger",
    base=NotingTask,
    note=staticmethod(exports.note_failure),
    **AGAIN,
)
def export_ledger(export_id: int) -> dict[str, int]:
    """Write the file of an export; safe to run twice, or twice at once."""
    with progress.bar(total=exports.rows_of(export_id), unit="rows") as bar:
        return {"rows": exports.make(export_id, on_row=bar.set).row_count}


@transaction.atomic
def queue_export(record: LedgerExport) -> None:
    """Queue a run for the export; while no worker can be told, its run id is empty, and it waits for a person."""
    mine = LedgerExport.objects.filter(pk=record.pk).exclude(state=LedgerExport.State.SUCCEEDED)
    run_id = enqueue(
        export_ledger,
        record.pk,
        title=_("Ledger %s") % record,
        link=record.get_absolute_url(),
        on_refusal=lambda: mine.filter(run_id=run_id).update(run_id=""),
    )
    mine.update(run_id=run_id, state=LedgerExport.State.WAITING, error="")
