"""What a customer owes, by currency."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Invoice
from billing.money import Money
from billing.services import balances, payments
from tests.billing.invoices import make_customer, make_invoice

pytestmark = pytest.mark.django_db

DAY = date(2026, 2, 10)


def test_a_balance_is_what_is_open_less_credit_in_each_currency() -> None:
    customer = make_customer()
    invoice = make_invoice(customer=customer)
    make_invoice(customer=customer, currency="USD", net=Decimal("10.00"))
    payments.record(Money(Decimal("38.00"), "EUR"), DAY, invoice=invoice)
    payments.record(Money(Decimal("5.00"), "EUR"), DAY, customer=customer)
    payments.record(Money(Decimal("7.00"), "GBP"), DAY, customer=customer)

    assert balances.balance(customer) == {
        "EUR": Money(Decimal("195.00"), "EUR"),
        "USD": Money(Decimal("23.80"), "USD"),
        "GBP": Money(Decimal("-7.00"), "GBP"),
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"state": Invoice.State.PAID, "paid": Decimal("238.00")},
        {"state": Invoice.State.VOID},
        {"state": Invoice.State.DRAFT, "number": None},
        {"kind": Invoice.Kind.CREDIT_NOTE},
        {"net": Decimal("0.00")},
    ],
)
def test_what_asks_for_no_money_is_no_debt(fields: dict[str, Any]) -> None:
    invoice = make_invoice(**fields)

    assert balances.balance(invoice.customer) == {}


def test_a_customer_whose_credit_covers_the_debt_is_even() -> None:
    invoice = make_invoice()
    payments.record(Money(Decimal("238.00"), "EUR"), DAY, customer=invoice.customer)

    assert balances.balance(invoice.customer) == {}


def test_many_customers_take_two_queries(django_assert_num_queries: Any) -> None:
    invoices = [make_invoice(customer=make_customer()) for _ in range(5)]

    with django_assert_num_queries(2):
        found = balances.balances([invoice.customer_id for invoice in invoices])

    assert found == {invoice.customer_id: {"EUR": invoice.total} for invoice in invoices}
