"""Hands work to a worker, with a run id that its page knows before the worker does."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

from celery import Task
from django.db import transaction
from kombu.exceptions import OperationalError

import live

logger = logging.getLogger(__name__)


def enqueue(
    task: Task[Any, Any], *args: Any, title: str, link: str = "", on_refusal: Callable[[], object] = lambda: None
) -> str:
    """Send a task once the transaction has committed, and return the run id that it will have.

    Keep the id on the record in the same transaction. `on_refusal` is called when the broker does not take the
    message: nothing is queued then, and the record must say so.
    """
    run_id = str(uuid.uuid4())

    def send() -> None:
        try:
            task.apply_async(args, task_id=run_id, headers=live.headers(title=title, link=link))
        except OperationalError as error:
            extra = {"action": "queue_refused", "run_id": run_id}
            logger.warning("The broker took no message of %s. %s", task.name, error, extra=extra)
            on_refusal()

    transaction.on_commit(send)
    return run_id
