"""The tables: what the database itself holds to, and that the migrations say the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from live.models import Attempt, LogPosition, Run
from live.recorder import to_run
from tests.live.rows import NOON, make_row

pytestmark = pytest.mark.django_db


def test_the_migrations_make_these_tables() -> None:
    call_command("makemigrations", "live", check=True, dry_run=True, verbosity=0)


def test_there_is_one_position_and_no_second() -> None:
    LogPosition.objects.create()

    with pytest.raises(IntegrityError), transaction.atomic():
        LogPosition.objects.create(id=2)
    with pytest.raises(IntegrityError), transaction.atomic():
        LogPosition.objects.create()

    assert LogPosition.objects.get().id == 1


def test_a_try_is_there_once(running_run: Run) -> None:
    Attempt.objects.create(run=running_run, number=1, state="running")

    with pytest.raises(IntegrityError), transaction.atomic():
        Attempt.objects.create(run=running_run, number=1, state="failed")

    Attempt.objects.create(run=running_run, number=2, state="running")
    assert [attempt.number for attempt in running_run.attempts.all()] == [1, 2]


def test_the_tries_of_a_run_go_with_it(running_run: Run) -> None:
    Attempt.objects.create(run=running_run, number=1, state="running")

    running_run.delete()

    assert not Attempt.objects.exists()


@pytest.mark.parametrize("number", [-1, -(2**20)])
def test_a_try_is_counted_from_one_up(running_run: Run, number: int) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Attempt.objects.create(run=running_run, number=number, state="running")


def test_runs_are_newest_first_unless_asked_otherwise(make_run: Callable[..., Run]) -> None:
    for run_id in ("b", "a"):
        make_run(id=run_id, queued_at=NOON)
    make_run(id="newer")

    assert [run.id for run in Run.objects.all()] == ["newer", "a", "b"]


def test_each_says_what_it_is(running_run: Run) -> None:
    attempt = Attempt(run=running_run, number=2, state="failed")

    assert str(running_run) == "billing.import_charges [running]"
    assert str(Run(title="March", state="queued")) == "March [queued]"
    assert str(attempt) == "run-0001 attempt 2 [failed]"
    assert str(LogPosition(epoch="life", seq=7)) == "life:7"


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({}, "live_run_newest"),
        ({"state": "running"}, "live_run_state"),
        ({"owner": "clerk"}, "live_run_owner"),
        ({"task": "billing.import_charges"}, "live_run_task"),
    ],
)
def test_the_newest_of_a_list_are_found_by_an_index(asked: dict[str, str], index: str) -> None:
    Run.objects.bulk_create(to_run(make_row(f"run-{number}", owner=f"u{number % 9}")) for number in range(500))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE live_run")
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_sort = off")

    plan = Run.objects.filter(**asked).order_by("-queued_at", "id")[:5].explain()

    # PostgreSQL chooses by what the columns hold; here they all hold the same.
    assert (index if connection.vendor == "sqlite" else "live_run_") in plan
