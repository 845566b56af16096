"""Live task status for Django and Celery. What other apps use of it: `progress`, and `headers` for a run's title."""

from live import progress
from live.origin import headers

__all__ = ["headers", "progress"]
