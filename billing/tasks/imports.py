"""The runs of imports."""

from __future__ import annotations

from celery import shared_task
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from billing import importing
from billing.models import ChargeImport
from billing.queueing import enqueue
from billing.tasks.base import GOES_ON, NotingTask
from live import progress


@shared_task(
    name="billing.import_charges",
    base=NotingTask,
    note=staticmethod(importing.note_failure),
    **GOES_ON,
)
def import_charges(import_id: int) -> dict[str, int]:
    """Bill the lines of an import that are not billed yet; safe to run twice, or twice at once."""
    with progress.bar(total=importing.lines_of(import_id), unit="lines") as bar:
        record = importing.run_import(import_id, on_line=bar.set)
    return {"charges": record.charge_count, "rejected": record.rejected_count}


@transaction.atomic
def queue_import(record: ChargeImport) -> None:
    """Queue a run for the import; while no worker can be told, its run id is empty, and it waits for a person."""
    mine = ChargeImport.objects.filter(pk=record.pk).exclude(state=ChargeImport.State.SUCCEEDED)
    run_id = enqueue(
        import_charges,
        record.pk,
        title=_("Import of %s") % record.name,
        link=record.get_absolute_url(),
        on_refusal=lambda: mine.filter(run_id=run_id).update(run_id=""),
    )
    mine.update(run_id=run_id, state=ChargeImport.State.WAITING, error="", moved_at=timezone.now())
