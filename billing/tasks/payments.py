"""The runs of bank imports."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from celery.contrib.django.task import DjangoTask
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.utils.translation import gettext as _

from billing.models import BankImport
from billing.queueing import enqueue
from billing.services import bank
from live import progress

logger = logging.getLogger(__name__)


class BankImportTask(DjangoTask):
    """A bank import's run, which tells the import when it ends for good without having come to the end."""

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called by the worker when no attempt is left."""
        try:
            bank.note_failure(args[0] if args else kwargs["bank_import_id"], exc)
        except DatabaseError:
            logger.exception("The bank import's failure could not be stored.", extra={"run_id": task_id})


@shared_task(
    name="billing.import_bank_file",
    base=BankImportTask,
    acks_late=True,
    reject_on_worker_lost=True,
    # A file that takes longer than the soft time limit goes on in the next attempt.
    autoretry_for=(OperationalError, InterfaceError, SoftTimeLimitExceeded),
    max_retries=6,
    retry_backoff=True,
)
def import_bank_file(bank_import_id: int) -> dict[str, int]:
    """Make payments of the bookings of a bank's file; safe to run twice, or twice at once."""
    with progress.bar(total=bank.lines_of(bank_import_id), unit="lines") as bar:
        return dict(bank.run_import(bank_import_id, on_line=bar.set))


@transaction.atomic
def queue_bank_import(record: BankImport) -> None:
    """Queue a run for the import; while no worker can be told, its run id is empty, and it waits for a person."""
    mine = BankImport.objects.filter(pk=record.pk).exclude(state=BankImport.State.SUCCEEDED)
    run_id = enqueue(
        import_bank_file,
        record.pk,
        title=_("Bank import of %s") % record.name,
        link=record.get_absolute_url(),
        on_refusal=lambda: mine.filter(run_id=run_id).update(run_id=""),
    )
    mine.update(run_id=run_id, state=BankImport.State.WAITING, error="")
