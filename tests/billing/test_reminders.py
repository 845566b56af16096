"""Reminders: three steps, each once, never two in a row, and none for what must not be reminded of."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from billing.models import Invoice, Mail, Reminder
from billing.money import Money
from billing.services import payments, reminders
from tests.billing.invoices import make_customer, make_invoice

pytestmark = pytest.mark.django_db

DUE = date(2026, 3, 3)


def after(days: int) -> date:
    return DUE + timedelta(days=days)


def remind_all(day: date) -> list[int]:
    """Remind of all that is due on a day, and return the steps that were taken."""
    before = set(Reminder.objects.values_list("pk", flat=True))
    for invoice in list(reminders.due(day)):
        reminders.remind(invoice.pk, day)
    return list(Reminder.objects.exclude(pk__in=before).order_by("pk").values_list("step", flat=True))


def test_the_steps_come_on_their_days_each_with_its_own_mail() -> None:
    invoice = make_invoice(due_on=DUE)

    taken = {days: steps for days in range(61) if (steps := remind_all(after(days)))}

    assert taken == {7: [1], 21: [2], 35: [3]}
    asked = Mail.objects.order_by("pk").values_list("kind", "subject_key", "invoice", "address")
    assert list(asked) == [
        ("reminder", f"reminder:{invoice.pk}:{step}", invoice.pk, invoice.customer.email) for step in (1, 2, 3)
    ]


def test_a_step_is_not_taken_twice_on_a_day() -> None:
    make_invoice(due_on=DUE)

    assert remind_all(after(10)) == [1]
    assert remind_all(after(10)) == []


def test_an_invoice_found_late_gets_its_steps_a_week_apart() -> None:
    make_invoice(due_on=DUE)

    taken = [days for days in range(100, 130) if remind_all(after(days))]

    assert taken == [100, 107, 114]


@pytest.mark.parametrize(
    "fields",
    [
        {"state": Invoice.State.PAID, "paid": Decimal("238.00")},
        {"state": Invoice.State.VOID},
        {"state": Invoice.State.DRAFT, "number": None},
        {"kind": Invoice.Kind.CREDIT_NOTE},
        {"disputed": True},
        {"net": Decimal("0.00")},
    ],
)
def test_there_is_none_for_what_is_paid_disputed_void_or_asks_for_nothing(fields: dict[str, Any]) -> None:
    invoice = make_invoice(due_on=DUE, **fields)

    assert not reminders.due(after(50)).exists()
    assert reminders.remind(invoice.pk, after(50)) == reminders.Outcome()
    assert not Reminder.objects.exists()


def test_an_invoice_that_is_paid_after_it_was_listed_is_not_reminded_of() -> None:
    invoice = make_invoice(due_on=DUE)
    listed = list(reminders.due(after(7)))
    payments.record(Money(Decimal("238.00"), "EUR"), after(7), invoice=invoice)

    outcomes = [reminders.remind(each.pk, after(7)) for each in listed]

    assert outcomes == [reminders.Outcome()]
    assert not Mail.objects.exists()


def test_a_partly_paid_invoice_is_reminded_of() -> None:
    invoice = make_invoice(due_on=DUE)
    payments.record(Money(Decimal("1.00"), "EUR"), after(7), invoice=invoice)

    assert remind_all(after(7)) == [1]


@pytest.mark.parametrize("email", ["", "not an address"])
def test_a_customer_without_a_good_address_is_told_of_and_the_step_stays_open(email: str) -> None:
    invoice = make_invoice(due_on=DUE, customer=make_customer(number="K-9", email=email))

    assert reminders.remind(invoice.pk, after(7)) == reminders.Outcome(without_email="K-9")
    assert not Reminder.objects.exists()

    invoice.customer.email = "good@example.com"
    invoice.customer.save()
    assert remind_all(after(8)) == [1]


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_take_one_step() -> None:
    invoice = make_invoice(due_on=DUE)

    def remind(_: int) -> bool:
        try:
            return bool(reminders.remind(invoice.pk, after(100)).mail)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(remind, range(8)))

    assert sorted(answers) == [False] * 7 + [True]
    assert (Reminder.objects.count(), Mail.objects.count()) == (1, 1)
