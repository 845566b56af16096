"""The tasks by their names, as a worker calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError, OperationalError

from billing import importing, tasks
from billing.services import bank, exports, invoice_runs
from billing.tasks.base import NotingTask
from tat.celery import app
from tests.billing.files import CSV_HEADER

CONTENT = CSV_HEADER + b"1,19970101,1,2.00,a\nnonsense\n"


def test_the_tutorial_s_tasks_are_known_by_their_names() -> None:
    assert app.tasks["sum_two_numbers"](32, 11) == 43
    assert app.tasks["multiply_two_numbers"](16, 16) == 256


def test_the_import_says_what_it_did(make_import: Callable[..., Any]) -> None:
    record = make_import(CONTENT)

    result = app.tasks["billing.import_charges"].apply((record.pk,))

    assert result.get() == {"charges": 1, "rejected": 1}
    assert importing.lines_of(record.pk) == 3


def test_an_import_that_fails_says_so_on_itself(make_import: Callable[..., Any]) -> None:
    record = make_import(CONTENT)
    record.file.storage.delete(record.file.name)

    result = tasks.import_charges.apply((record.pk,))

    record.refresh_from_db()
    assert isinstance(result.result, FileNotFoundError)
    assert (record.state, record.may_start) == ("failed", True)
    assert record.error.startswith("FileNotFoundError: ")


@pytest.mark.parametrize("error", [OperationalError("connection lost"), SoftTimeLimitExceeded()])
def test_a_lost_database_and_the_time_limit_are_another_attempt_and_no_failure(
    make_import: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    record = make_import(CONTENT)
    real, calls = importing.judge, []

    def broken_once(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            raise error
        return real(*args)

    monkeypatch.setattr(importing, "judge", broken_once)
    result = tasks.import_charges.apply((record.pk,))

    record.refresh_from_db()
    assert result.successful()
    assert (record.state, record.error, record.charge_count) == ("succeeded", "", 1)


def test_a_database_that_is_gone_when_the_failure_is_noted_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*args: Any) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(tasks.import_charges, "note", gone)
    tasks.import_charges.on_failure(RuntimeError("x"), "run", (1,), {}, None)

    assert "could not be stored" in caplog.text


def test_each_record_hears_of_its_run_s_failure() -> None:
    known = {name: task.note for name, task in app.tasks.items() if isinstance(task, NotingTask)}

    assert known == {
        "billing.export_ledger": exports.note_failure,
        "billing.import_bank_file": bank.note_failure,
        "billing.import_charges": importing.note_failure,
        "billing.invoice_run_part": invoice_runs.note_part_failure,
    }


def test_the_import_is_acknowledged_late_and_ends_before_it_would_be_delivered_again() -> None:
    task = app.tasks["billing.import_charges"]
    visibility_s = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]

    assert task.acks_late
    assert task.reject_on_worker_lost
    assert settings.CELERY_TASK_SOFT_TIME_LIMIT < settings.CELERY_TASK_TIME_LIMIT < visibility_s - 60
