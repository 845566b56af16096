"""The frame: settings, Celery app, ASGI application and addresses; wiring only."""

from tat.celery import app as celery_app

__all__ = ["celery_app"]
