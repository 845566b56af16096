"""Celery's entry points: ids in, one service called, progress reported."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from celery.contrib.django.task import DjangoTask
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError

from billing import importing
from live import progress

logger = logging.getLogger(__name__)


@shared_task(name="sum_two_numbers")
def sum_two_numbers(x: int, y: int) -> int:
    """Add two numbers."""
    return x + y


@shared_task(name="multiply_two_numbers")
def multiply_two_numbers(x: int, y: int) -> int:
    """Multiply two numbers."""
    return x * y


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
