"""The runs of ledger exports."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from celery.contrib.django.task import DjangoTask
from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.utils.translation import gettext as _

from billing.models import LedgerExport
from billing.queueing import enqueue
from billing.services import exports
from live import progress

logger = logging.getLogger(__name__)


class ExportTask(DjangoTask):
    """An export's run, which tells the export when it ends for good without a file."""

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called by the worker when no attempt is left."""
        try:
            exports.note_failure(args[0] if args else kwargs["export_id"], exc)
        except DatabaseError:
            logger.exception("The export's failure could not be stored.", extra={"run_id": task_id})


@shared_task(
    name="billing.export_ledger",
    base=ExportTask,
    acks_late=True,
    reject_on_worker_lost=True,
    autoretry_for=(OperationalError, InterfaceError),
    max_retries=6,
    retry_backoff=True,
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
