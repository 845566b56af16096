"""The result backend: django-celery-results, made to survive a restart of its database."""

from django.db import connection
from django.db.utils import InterfaceError, OperationalError
from django_celery_results.backends import DatabaseBackend


class ReconnectingDatabaseBackend(DatabaseBackend):
    """Stores results in the database, and tries again on a new connection when the old one is gone.

    The stock backend stores a successful task as FAILURE, or leaves it STARTED, when PostgreSQL restarts while the
    task runs. Needs `result_backend_always_retry`.
    """

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Say yes to a lost connection, after closing it; Celery then stores again, with growing waits."""
        if not isinstance(exc, OperationalError | InterfaceError) or connection.in_atomic_block:
            return False  # inside the task's own transaction all is lost with the connection anyway
        connection.close()
        return True
