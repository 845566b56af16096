"""What makes many e-mails or changes, killed with SIGKILL in the middle and run again: each is done exactly once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from billing import tasks
from billing.company import today
from billing.models import Invoice, InvoiceRun, Mail, Reminder, Statement
from tests.billing.invoices import make_invoice

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[[str], "subprocess.Popen[str]"]
COUNT = 6

# Says "inside" when the fifth e-mail is asked for and not yet committed, and waits to be killed.
STOP_INSIDE_THE_FIFTH_MAIL = """
import time
from billing import tasks
from billing.services import mails
from billing.tasks import mails as sending
sending.INVOICES_PER_CHUNK, real, calls = 2, mails.ask, []
def stop(*args):
    asked = real(*args)
    calls.append(args)
    if len(calls) == 5:
        print("inside", flush=True)
        time.sleep(60)
    return asked
mails.ask = stop
"""
# Says "inside" when the invoices are marked and not yet committed.
STOP_INSIDE_THE_MARKING = """
import time
from django.db import transaction
from billing import tasks
from billing.services import overdue
real = overdue.mark_overdue
def stop(day):
    with transaction.atomic():
        real(day)
        print("inside", flush=True)
        time.sleep(60)
overdue.mark_overdue = stop
"""


def kill_inside(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    process.kill()
    process.wait(timeout=20)


def make_late(**fields: Any) -> list[Invoice]:
    return [make_invoice(due_on=today() - timedelta(days=8), **fields) for _ in range(COUNT)]


def assert_one_mail_each(redis: Any, keys: set[str]) -> None:
    found = Mail.objects.all()
    assert sorted(mail.subject_key for mail in found) == sorted(keys)
    assert all(mail.run_id for mail in found)
    assert redis.llen("tat:broker:celery") == COUNT


def test_reminders_are_asked_for_and_queued_once(start_process: Start, redis: Any) -> None:
    invoices = make_late()
    kill_inside(start_process(f"{STOP_INSIDE_THE_FIFTH_MAIL}\ntasks.send_reminders.apply()"))
    assert (Reminder.objects.count(), Mail.objects.count()) == (4, 4)

    assert tasks.send_reminders.apply(throw=True).get()["sent"] == 2

    assert Reminder.objects.count() == COUNT
    assert_one_mail_each(redis, {f"reminder:{invoice.pk}:1" for invoice in invoices})


def test_statements_are_asked_for_and_queued_once(start_process: Start, redis: Any) -> None:
    invoices = make_late()
    kill_inside(start_process(f"{STOP_INSIDE_THE_FIFTH_MAIL}\ntasks.send_statements.apply()"))
    assert (Statement.objects.count(), Mail.objects.count()) == (4, 4)

    assert tasks.send_statements.apply(throw=True).get()["sent"] == 2

    [month] = set(Statement.objects.values_list("month", flat=True))
    assert Statement.objects.count() == COUNT
    assert_one_mail_each(redis, {f"statement:{invoice.customer_id}:{month:%Y-%m}" for invoice in invoices})


def test_send_all_asks_for_and_queues_each_mail_once(start_process: Start, redis: Any, clerk: Any) -> None:
    day = date(2026, 1, 1)
    run = InvoiceRun.objects.create(period_start=day, period_end=day, cut_off=day, created_by=clerk)
    invoices = make_late(invoice_run=run)
    kill_inside(start_process(f"{STOP_INSIDE_THE_FIFTH_MAIL}\ntasks.email_invoice_run.apply(({run.pk}, {clerk.pk}))"))
    assert Mail.objects.count() == 4

    again = tasks.email_invoice_run.apply((run.pk, clerk.pk), throw=True).get()

    assert again == {"queued": 2, "without_email": 0, "asked_before": 4}
    assert_one_mail_each(redis, {f"invoice:{invoice.pk}" for invoice in invoices})
    assert set(Mail.objects.values_list("asked_by", flat=True)) == {clerk.pk}


def test_overdue_invoices_are_marked_all_of_them(start_process: Start, redis: Any) -> None:
    make_late()
    kill_inside(start_process(f"{STOP_INSIDE_THE_MARKING}\ntasks.mark_overdue.apply()"))
    assert not Invoice.objects.filter(state="overdue").exists()

    assert tasks.mark_overdue.apply(throw=True).get() == {"overdue": COUNT}
    assert tasks.mark_overdue.apply(throw=True).get() == {"overdue": 0}
