"""A statement a month for each customer with a balance."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from billing.models import Invoice, Mail, Statement
from billing.money import Money
from billing.services import payments, statements
from tests.billing.invoices import make_customer, make_invoice

pytestmark = pytest.mark.django_db

DAY = date(2026, 4, 1)
MARCH = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("day", "month"),
    [(DAY, MARCH), (date(2026, 1, 1), date(2025, 12, 1)), (date(2026, 3, 31), date(2026, 2, 1))],
)
def test_last_month_is_the_one_before(day: date, month: date) -> None:
    assert statements.last_month(day) == month


def test_debt_and_credit_are_stated_and_who_is_even_is_left_alone() -> None:
    debtor = make_invoice(customer=make_customer()).customer
    creditor = make_customer()
    payments.record(Money(Decimal("5.00"), "EUR"), DAY, customer=creditor)
    make_customer()
    make_invoice(customer=make_customer(), state=Invoice.State.VOID)
    even = make_invoice(customer=make_customer()).customer
    payments.record(Money(Decimal("238.00"), "EUR"), DAY, customer=even)

    assert list(statements.due(MARCH)) == [debtor.pk, creditor.pk]


def test_a_month_has_one_statement_and_one_mail() -> None:
    customer = make_invoice().customer

    first = statements.make(customer.pk, MARCH, DAY)
    again = statements.make(customer.pk, MARCH, DAY)

    assert first.mail is not None
    assert (first.mail.kind, first.mail.subject_key) == ("statement", f"statement:{customer.pk}:2026-03")
    assert again == statements.Outcome()
    assert not list(statements.due(MARCH))
    assert list(statements.due(DAY)) == [customer.pk]
    assert (Statement.objects.count(), Mail.objects.count()) == (1, 1)


def test_a_customer_without_an_address_is_told_of_and_gets_none() -> None:
    customer = make_invoice(customer=make_customer(number="K-9", email="")).customer

    assert statements.make(customer.pk, MARCH, DAY) == statements.Outcome(without_email="K-9")
    assert not Statement.objects.exists()


def test_many_customers_are_read_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "CHUNK_CUSTOMERS", 2)
    customers = [make_invoice(customer=make_customer()).customer_id for _ in range(5)]

    assert list(statements.due(MARCH)) == customers
