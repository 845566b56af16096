"""The result backend: what a task returned is stored, also when the database was away for a moment."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from typing import Any

import pytest
from celery import current_app
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, connection, transaction
from django_celery_results.models import TaskResult

from tat.results import ReconnectingDatabaseBackend

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def backend() -> ReconnectingDatabaseBackend:
    """The backend as the settings have it, with short waits."""
    backend = ReconnectingDatabaseBackend(app=current_app._get_current_object())
    backend.base_sleep_between_retries_ms = 20
    return backend


def state_of(run_id: str) -> str:
    return str(TaskResult.objects.get(task_id=run_id).status)


def test_the_project_uses_it(backend: ReconnectingDatabaseBackend) -> None:
    assert type(current_app.backend) is ReconnectingDatabaseBackend
    assert (backend.always_retry, backend.max_retries) == (True, 20)


def test_a_result_is_stored(backend: ReconnectingDatabaseBackend) -> None:
    run_id = str(uuid.uuid4())

    backend.store_result(run_id, {"sum": 43}, "SUCCESS")

    assert backend.get_result(run_id) == {"sum": 43}


def test_a_result_is_stored_once_the_database_is_back(backend: ReconnectingDatabaseBackend) -> None:
    run_id = str(uuid.uuid4())
    TaskResult.objects.count()
    heal = break_postgresql if connection.vendor == "postgresql" else break_sqlite

    with heal():
        backend.store_result(run_id, 43, "SUCCESS")

    assert state_of(run_id) == "SUCCESS"


class break_sqlite:  # noqa: N801  used as a context manager
    """Hold the write lock until somebody was refused."""

    def __enter__(self) -> None:
        self._timeout = connection.settings_dict["OPTIONS"].get("timeout")
        connection.settings_dict["OPTIONS"]["timeout"] = 0
        connection.close()
        self._holder = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False)
        self._holder.execute("BEGIN IMMEDIATE")
        self._timer = threading.Timer(0.1, self._holder.execute, ["COMMIT"])
        self._timer.start()

    def __exit__(self, *_: Any) -> None:
        self._timer.join(5)
        self._holder.close()
        connection.settings_dict["OPTIONS"]["timeout"] = self._timeout
        connection.close()


class break_postgresql:  # noqa: N801  used as a context manager
    """End the session from another one, as a restart does."""

    def __enter__(self) -> None:
        import psycopg

        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        given = connection.get_connection_params()
        address = {name: given[name] for name in ("dbname", "user", "password", "host", "port") if given.get(name)}
        with psycopg.connect(**address, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [pid])

    def __exit__(self, *_: Any) -> None:
        """Nothing is left to heal."""


@pytest.mark.parametrize("error", [OperationalError(), InterfaceError()])
def test_a_lost_connection_is_worth_another_try(backend: ReconnectingDatabaseBackend, error: Exception) -> None:
    TaskResult.objects.count()

    assert backend.exception_safe_to_retry(error)
    assert connection.connection is None


@pytest.mark.parametrize("error", [DataError(), IntegrityError(), ValueError(), KeyError()])
def test_what_will_fail_again_is_not_tried_again(backend: ReconnectingDatabaseBackend, error: Exception) -> None:
    TaskResult.objects.count()

    assert not backend.exception_safe_to_retry(error)
    assert connection.connection is not None


def test_the_connection_is_not_closed_under_a_tasks_own_transaction(backend: ReconnectingDatabaseBackend) -> None:
    with transaction.atomic():
        TaskResult.objects.count()

        assert not backend.exception_safe_to_retry(OperationalError())

        assert connection.connection is not None
