"""What billing's tasks have in common: they may run again at any point, and a record hears of the final failure."""

from __future__ import annotations

import logging
from typing import Any

from celery.contrib.django.task import DjangoTask
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError
from kombu.exceptions import OperationalError as BrokerError

logger = logging.getLogger(__name__)

#: For tasks that are safe to run again, or twice at once: a killed worker's run comes back, and so does one that a lost
#: database or broker ended.
AGAIN: dict[str, Any] = {
    "acks_late": True,
    "reject_on_worker_lost": True,
    "autoretry_for": (OperationalError, InterfaceError, BrokerError),
    "max_retries": 6,
    "retry_backoff": True,
}
#: For those that also keep what they have done: what the soft time limit ends goes on in the next attempt.
GOES_ON = {**AGAIN, "autoretry_for": (*AGAIN["autoretry_for"], SoftTimeLimitExceeded)}


class NotingTask(DjangoTask):
    """A run that tells its record, whose id is its one argument, when no attempt came to the end."""

    #: A static method, called with the record's id and the error.
    note: Any

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called by the worker when no attempt is left."""
        try:
            self.note(*args, *kwargs.values(), exc)
        except DatabaseError:
            logger.exception("The failure could not be stored.", extra={"run_id": task_id})
