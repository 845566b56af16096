"""A payment counts for its invoice at once and exactly; what is over is the customer's credit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from billing.company import today
from billing.exceptions import PaymentRefusedError
from billing.models import Invoice, Payment
from billing.money import Money
from billing.services import payments
from tests.billing.invoices import make_customer, make_invoice

DAY = date(2026, 2, 10)


def euros(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


@pytest.fixture
def open_invoice(db: None) -> Invoice:
    """An invoice over 238.00 EUR that is not due yet."""
    return make_invoice(due_on=today() + timedelta(days=10))


@pytest.fixture
def late_invoice(db: None) -> Invoice:
    """An invoice over 238.00 EUR that is overdue."""
    return make_invoice(due_on=today() - timedelta(days=1), state=Invoice.State.OVERDUE)


@pytest.fixture
def page(clerk: Any, client: Client) -> Client:
    """The clerk's browser."""
    client.force_login(clerk)
    return client


def told(invoice: Invoice) -> tuple[str, Decimal]:
    invoice.refresh_from_db()
    return invoice.state, invoice.paid


def test_a_part_and_then_the_rest_pay_an_invoice(open_invoice: Invoice) -> None:
    payments.record(euros("38.00"), DAY, invoice=open_invoice, reference="first")
    assert told(open_invoice) == ("partly_paid", Decimal("38.00"))

    payments.record(euros("200.00"), DAY, invoice=open_invoice)

    assert told(open_invoice) == ("paid", Decimal("238.00"))
    assert [payment.amount for payment in open_invoice.payments.order_by("pk")] == [Decimal("38.00"), Decimal("200.00")]


def test_an_overdue_invoice_stays_overdue_until_all_of_it_is_paid(late_invoice: Invoice) -> None:
    payments.record(euros("38.00"), DAY, invoice=late_invoice)
    assert told(late_invoice) == ("overdue", Decimal("38.00"))

    payments.record(euros("200.00"), DAY, invoice=late_invoice)

    assert told(late_invoice) == ("paid", Decimal("238.00"))


def test_what_is_over_becomes_the_customer_s_credit(open_invoice: Invoice) -> None:
    kept = payments.record(euros("300.00"), DAY, invoice=open_invoice, reference="thanks")

    assert told(open_invoice) == ("paid", Decimal("238.00"))
    assert (kept.invoice, kept.amount) == (open_invoice, Decimal("238.00"))
    credit = Payment.objects.get(invoice=None)
    assert (credit.customer, credit.amount, credit.reference) == (open_invoice.customer, Decimal("62.00"), "thanks")


def test_money_for_a_paid_invoice_is_credit_only(open_invoice: Invoice) -> None:
    payments.record(euros("238.00"), DAY, invoice=open_invoice)

    kept = payments.record(euros("5.00"), DAY, invoice=open_invoice)

    assert kept.invoice is None
    assert told(open_invoice) == ("paid", Decimal("238.00"))


def test_money_without_an_invoice_is_credit(db: None) -> None:
    customer = make_customer()

    kept = payments.record(euros("5.00"), DAY, customer=customer)

    assert (kept.customer, kept.invoice, kept.amount) == (customer, None, Decimal("5.00"))


@pytest.mark.parametrize(
    ("fields", "amount", "sentence"),
    [
        ({"currency": "USD"}, "5.00", "asks for USD; a payment in EUR cannot count"),
        ({"state": Invoice.State.VOID}, "5.00", "takes no payment"),
        ({"kind": Invoice.Kind.CREDIT_NOTE}, "5.00", "takes no payment"),
        ({"state": Invoice.State.DRAFT, "number": None}, "5.00", "takes no payment"),
        ({}, "0.00", "more than nothing"),
        ({}, "-5.00", "more than nothing"),
    ],
)
def test_what_cannot_be_a_payment_is_refused_with_a_sentence_and_nothing_is_kept(
    db: None, fields: dict[str, Any], amount: str, sentence: str
) -> None:
    invoice = make_invoice(**fields)

    with pytest.raises(PaymentRefusedError, match=sentence):
        payments.record(euros(amount), DAY, invoice=invoice)

    assert not Payment.objects.exists()
    assert told(invoice)[1] == 0


@pytest.mark.django_db(transaction=True)
def test_payments_at_once_all_count() -> None:
    invoice = make_invoice(net=Decimal("1000.00"), due_on=today())

    def pay(number: int) -> None:
        try:
            payments.record(euros(f"{number}.00"), DAY, invoice=invoice)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(pay, range(1, 21)))

    assert told(invoice) == ("partly_paid", Decimal("210.00"))
    assert invoice.payments.count() == 20


class AnyPayments(TestCase):
    """Whatever comes in, in whatever pieces."""

    @given(st.lists(st.decimals("0.01", "400", places=2), min_size=1, max_size=8))
    def test_each_cent_is_on_the_invoice_or_the_customer_s_credit(self, amounts: list[Decimal]) -> None:
        invoice = make_invoice(customer=make_customer(), due_on=today())

        for amount in amounts:
            payments.record(Money(amount, "EUR"), DAY, invoice=invoice)

        state, paid = told(invoice)
        credit = sum((each.amount for each in Payment.objects.filter(invoice=None)), Decimal(0))
        assert paid == min(sum(amounts), Decimal("238.00"))
        assert paid + credit == sum(amounts)
        assert state == ("paid" if paid == Decimal("238.00") else "partly_paid")


def send(page: Client, invoice: Invoice, **values: Any) -> Any:
    given = {"amount": "38.00", "day": "2026-02-10", "reference": "transfer", "seen_paid": "0.00", **values}
    return page.post(reverse("billing:invoice_pay", args=[invoice.pk]), given, follow=True)


def test_a_payment_is_entered_on_the_invoice_s_page(page: Client, open_invoice: Invoice) -> None:
    form = page.get(open_invoice.get_absolute_url())
    assert 'value="238.00"' in form.text

    answer = send(page, open_invoice)

    assert answer.redirect_chain == [(open_invoice.get_absolute_url(), 302)]
    assert "The payment of 38.00 EUR is kept." in answer.text
    assert 'value="200.00"' in answer.text
    assert Payment.objects.get().entered_by.username == "clerk"


def test_the_same_form_sent_twice_counts_once(page: Client, open_invoice: Invoice) -> None:
    send(page, open_invoice)

    answer = send(page, open_invoice)

    assert "got a payment since this page was opened" in answer.text
    assert told(open_invoice) == ("partly_paid", Decimal("38.00"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"amount": "NaN"}, "must be a number with at most two decimals"),
        ({"amount": "1.234"}, "must be a number with at most two decimals"),
        ({"amount": "-1"}, "must not be zero"),
        ({"amount": "99999999999.00"}, "at most 10,000,000.00"),
        ({"day": "2026-02-30"}, "must be a day that exists"),
        ({"day": "2098-01-01"}, "a day that has not come"),
        ({"day": ""}, "This field is required."),
    ],
)
def test_what_is_no_payment_is_said_on_the_invoice_s_page(
    page: Client, open_invoice: Invoice, values: dict[str, str], sentence: str
) -> None:
    answer = send(page, open_invoice, **values)

    assert sentence in answer.text
    assert not Payment.objects.exists()


def test_who_may_not_enter_payments_is_told_which_right_is_missing(
    client: Client, auditor: Any, open_invoice: Invoice
) -> None:
    client.force_login(auditor)

    answer = send(client, open_invoice)

    assert answer.status_code == 403
    assert "billing.add_payment" in answer.text
    assert not Payment.objects.exists()


def test_the_list_shows_a_customer_s_payments_and_credit(page: Client, open_invoice: Invoice) -> None:
    payments.record(euros("300.00"), DAY, invoice=open_invoice, reference="over <b>")
    other = make_customer(name="Another")
    payments.record(euros("7.00"), DAY, customer=other)
    address = reverse("billing:payments")

    everything = page.get(address).text
    of_one = page.get(address, {"customer": open_invoice.customer.number}).text
    credit = page.get(address, {"unassigned": "on"}).text

    assert [amount in everything for amount in ("238.00 EUR", "62.00 EUR", "7.00 EUR")] == [True, True, True]
    assert [amount in of_one for amount in ("238.00 EUR", "62.00 EUR", "7.00 EUR")] == [True, True, False]
    assert [amount in credit for amount in ("238.00 EUR", "62.00 EUR", "7.00 EUR")] == [False, True, True]
    assert "over &lt;b&gt;" in everything
    assert "There is no customer with the number nobody." in page.get(address, {"customer": "nobody"}).text


def test_the_list_asks_the_database_as_often_for_many_payments_as_for_one(
    page: Client, open_invoice: Invoice, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        payments.record(euros("1.00"), DAY, invoice=open_invoice)

    with django_assert_max_num_queries(6):  # session, user, own and group permissions, count, rows
        page.get(reverse("billing:payments"))
