"""One small Django and Celery project in four variants (`BENCH_VARIANT`): only what is measured differs."""

from bench.apps.celery import app as celery_app

__all__ = ["celery_app"]
