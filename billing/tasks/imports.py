"""The runs of imports."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from celery import shared_task
from celery.contrib.django.task import DjangoTask
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError as BrokerError

import live
from billing import importing
from billing.models import ChargeImport
from live import progress

logger = logging.getLogger(__name__)


class ImportTask(DjangoTask):
    """An import's run, which tells the import when it ends for good without having come to the end."""

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called by the worker when no attempt is left."""
        try:
            importing.note_failure(args[0] if args else kwargs["import_id"], exc)
        except DatabaseError:
            logger.exception("The import's failure could not be stored.", extra={"run_id": task_id})


@shared_task(
    name="billing.import_charges",
    base=ImportTask,
    acks_late=True,
    reject_on_worker_lost=True,
    # A file that takes longer than the soft time limit goes on in the next attempt.
    autoretry_for=(OperationalError, InterfaceError, SoftTimeLimitExceeded),
    max_retries=6,
    retry_backoff=True,
)
def import_charges(import_id: int) -> dict[str, int]:
    """Bill the lines of an import that are not billed yet; safe to run twice, or twice at once."""
    with progress.bar(total=importing.lines_of(import_id), unit="lines") as bar:
        record = importing.run_import(import_id, on_line=bar.set)
    return {"charges": record.charge_count, "rejected": record.rejected_count}


def queue_import(record: ChargeImport) -> bool:
    """Queue a run for the import; False means that the broker does not answer, and the import waits for a person."""
    mine = ChargeImport.objects.filter(pk=record.pk).exclude(state=ChargeImport.State.SUCCEEDED)
    run_id = str(uuid.uuid4())
    try:
        with transaction.atomic():
            mine.update(run_id=run_id, state=ChargeImport.State.WAITING, error="", moved_at=timezone.now())
            import_charges.apply_async_on_commit(
                (record.pk,),
                task_id=run_id,
                headers=live.headers(title=_("Import of %s") % record.name, link=record.get_absolute_url()),
            )
    except BrokerError:
        mine.filter(run_id=run_id).update(run_id="")
        return False
    return True
