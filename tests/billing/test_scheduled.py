"""What beat starts: each task twice for the same moment does its work once, and the entries are there to be changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.apps import apps
from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

from billing import tasks
from billing.company import today
from billing.models import Invoice, Mail, Reminder, Statement
from billing.services import overdue, statements
from tat.celery import app
from tests.billing.invoices import make_customer, make_invoice

migration: Any = import_module("billing.migrations.0004_schedules")


@pytest.fixture
def run(db: None, redis: Any) -> Callable[[str], dict[str, Any]]:
    """Run a task by its name, as a worker does."""
    return lambda name: getattr(tasks, name.removeprefix("billing.")).apply(throw=True).get()


@pytest.fixture
def entries(db: None) -> None:
    """The entries as the migration makes them: a test with transactions of its own leaves none behind."""
    migration.add_entries(apps, None)


@pytest.mark.parametrize(
    ("fields", "is_overdue"),
    [
        ({"due_on": -1}, True),
        ({"due_on": -1, "state": Invoice.State.PARTLY_PAID, "paid": Decimal("1.00")}, True),
        ({"due_on": -1, "disputed": True}, True),
        ({"due_on": 0}, False),
        ({"due_on": -1, "state": Invoice.State.PAID, "paid": Decimal("238.00")}, False),
        ({"due_on": -1, "state": Invoice.State.VOID}, False),
        ({"due_on": -1, "kind": Invoice.Kind.CREDIT_NOTE}, False),
        ({"due_on": -1, "net": Decimal("0.00")}, False),
    ],
)
def test_what_is_open_after_its_due_day_is_overdue(
    run: Callable[[str], dict[str, Any]], fields: dict[str, Any], is_overdue: bool
) -> None:
    invoice = make_invoice(**{**fields, "due_on": today() + timedelta(days=fields["due_on"])})
    before = invoice.state

    assert run("billing.mark_overdue") == {"overdue": int(is_overdue)}
    assert run("billing.mark_overdue") == {"overdue": 0}

    invoice.refresh_from_db()
    assert invoice.state == ("overdue" if is_overdue else before)


def test_the_due_day_is_judged_by_the_day_that_is_given(db: None) -> None:
    make_invoice(due_on=date(2026, 3, 3))

    assert overdue.mark_overdue(date(2026, 3, 3)) == 0
    assert overdue.mark_overdue(date(2026, 3, 4)) == 1


def test_reminders_are_made_and_queued_once_and_who_has_no_address_is_named(
    run: Callable[[str], dict[str, Any]], django_capture_on_commit_callbacks: Any, redis: Any
) -> None:
    late = today() - timedelta(days=8)
    make_invoice(due_on=late, customer=make_customer())
    make_invoice(due_on=late, customer=make_customer(number="K-9", email=""))
    make_invoice(due_on=today())

    with django_capture_on_commit_callbacks(execute=True):
        first = run("billing.send_reminders")
        again = run("billing.send_reminders")

    assert first == {"sent": 1, "customers_without_email": 1, "their_numbers": ["K-9"]}
    assert again == {**first, "sent": 0}
    assert Reminder.objects.count() == 1
    assert Mail.objects.get().run_id
    assert redis.llen("tat:broker:celery") == 1


def test_statements_are_made_and_queued_once(
    run: Callable[[str], dict[str, Any]], django_capture_on_commit_callbacks: Any, redis: Any
) -> None:
    make_invoice()

    with django_capture_on_commit_callbacks(execute=True):
        assert run("billing.send_statements")["sent"] == 1
        assert run("billing.send_statements")["sent"] == 0

    month = Statement.objects.get().month
    assert month == (today().replace(day=1) - timedelta(days=1)).replace(day=1)
    assert redis.llen("tat:broker:celery") == 1


def test_statements_that_the_time_limit_cut_off_are_sent_by_the_next_attempt(
    run: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        make_invoice(issued_on=date(2026, 1, 1))
    real, calls = statements.make, []

    def late(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise SoftTimeLimitExceeded
        return real(*args)

    monkeypatch.setattr(statements, "make", late)

    assert tasks.send_statements.apply().successful()
    assert (Statement.objects.count(), Mail.objects.count()) == (3, 3)


@pytest.mark.parametrize("name", ["billing.retry_stuck_mails", "billing.clean_up"])
def test_the_other_tasks_run_with_nothing_to_do(run: Callable[[str], dict[str, Any]], name: str) -> None:
    assert set(run(name).values()) == {0}


@pytest.mark.usefixtures("entries")
def test_each_entry_names_a_task_that_workers_know() -> None:
    made = PeriodicTask.objects.filter(name__startswith="Billing: ")

    assert made.count() == 5
    assert [entry.task for entry in made if entry.task not in app.tasks] == []
    assert all(entry.enabled for entry in made)


@pytest.mark.usefixtures("entries")
def test_reminders_are_due_on_working_days_at_eight_in_the_company_s_zone() -> None:
    crontab = PeriodicTask.objects.get(task="billing.send_reminders").crontab.schedule
    berlin = ZoneInfo("Europe/Berlin")
    friday_noon = datetime(2026, 11, 20, 12, tzinfo=berlin)

    crontab.nowfun = lambda: friday_noon.astimezone(UTC)
    left = crontab.remaining_estimate(friday_noon.astimezone(UTC))

    assert (friday_noon.astimezone(UTC) + left).astimezone(berlin) == datetime(2026, 11, 23, 8, tzinfo=berlin)


@pytest.mark.usefixtures("entries")
def test_what_a_person_changed_stays_and_nothing_is_made_twice() -> None:
    mine = PeriodicTask.objects.get(task="billing.send_reminders")
    mine.enabled = False
    mine.save()

    migration.add_entries(apps, None)

    mine.refresh_from_db()
    assert not mine.enabled
    assert PeriodicTask.objects.filter(name__startswith="Billing: ").count() == 5


@pytest.mark.usefixtures("entries")
def test_the_migration_goes_back_and_leaves_others_alone_and_tells_beat() -> None:
    other = PeriodicTask.objects.create(
        name="Mine: reminders too", task="billing.send_reminders", crontab=CrontabSchedule.objects.first()
    )
    PeriodicTasks.objects.update_or_create(ident=1, defaults={"last_update": datetime(2026, 1, 1, tzinfo=UTC)})

    migration.remove_entries(apps, None)

    assert list(PeriodicTask.objects.filter(task__startswith="billing.")) == [other]
    assert PeriodicTasks.last_change() > datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("entries")
def test_beat_holds_the_entries_and_does_not_seed_over_them() -> None:
    from tat.schedules import SeedingDatabaseScheduler

    crontab = CrontabSchedule.objects.create(minute="*", hour="*", timezone="Europe/Berlin")
    PeriodicTask.objects.filter(task="billing.clean_up").update(crontab=crontab)

    schedule = SeedingDatabaseScheduler(app=app).schedule

    # Whatever the hour: what was missed while beat was down is due when it is back.
    assert sum(name.startswith("Billing: ") for name in schedule) == 5
    assert schedule["Billing: retry stuck e-mails"].task == "billing.retry_stuck_mails"
    assert schedule["Billing: clean up old files"].schedule.hour == set(range(24))
    assert PeriodicTask.objects.get(task="billing.clean_up").crontab == crontab
