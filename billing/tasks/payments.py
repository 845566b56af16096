"""The runs of bank imports."""

from __future__ import annotations

from celery import shared_task
from django.db import transaction
from django.utils.translation import gettext as _

from billing.models import BankImport
from billing.queueing import enqueue
from billing.services import bank
from billing.tasks.base import GOES_ON, NotingTask
from live import progress


@shared_task(
    name="billing.import_bank_file",
    base=NotingTask,
    note=staticmethod(bank.note_failure),
    **GOES_ON,
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
