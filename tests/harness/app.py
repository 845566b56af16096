"""The project's Celery app with the journeys' tasks: `celery -A tests.harness.app worker`."""

from tat.celery import app
from tests.harness import tasks

__all__ = ["app", "tasks"]
