"""The pages of charges: the filtered list, and one entered by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from billing.models import Charge, InvoiceLine
from billing.views import charges as views
from tests.billing import trade
from tests.billing.invoices import make_invoice

pytestmark = pytest.mark.django_db

LIST, ADD = "/billing/charges/", "/billing/charges/add/"
GOOD = {"customer": "K1", "day": "2026-03-10", "quantity": "2", "amount": "11.77", "description": "Two \n  records"}


@pytest.fixture
def page(clerk: Any, client: Client) -> Client:
    """The clerk's browser."""
    client.force_login(clerk)
    return client


def billed(charge: Charge, released: bool = False) -> InvoiceLine:
    """Put a charge on an issued invoice."""
    line = make_invoice(lines=1, customer=charge.customer).lines.get()
    line.charge, line.released = charge, released
    line.save()
    return line


def described(page: Client, **query: str) -> list[str]:
    return sorted(charge.description for charge in page.get(LIST, query).context["page"])


def test_a_charge_is_entered_in_the_customer_s_currency_and_waits_for_its_invoice(page: Client) -> None:
    customer = trade.make_customer(number="K1", currency="CHF")

    answer = page.post(ADD, GOOD, follow=True)

    charge = Charge.objects.get()
    assert (charge.customer, charge.day, charge.quantity) == (customer, date(2026, 3, 10), 2)
    assert (charge.amount, charge.currency, charge.source) == (Decimal("11.77"), "CHF", None)
    assert charge.description == "Two records"
    assert answer.redirect_chain == [(f"{LIST}?customer=K1", 302)]
    assert "11.77 CHF" in answer.text and "not billed yet" in answer.text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("customer", "K9", "There is no customer with the number K9."),
        ("customer", "", "This field is required."),
        ("day", "2026-02-30", "The date must be a day that exists"),
        ("day", "1969-12-31", "The date must lie between 1970-01-01 and 2099-12-31."),
        ("day", "2100-01-01", "The date must lie between 1970-01-01 and 2099-12-31."),
        ("quantity", "0", "The quantity must lie between 1 and 1,000,000."),
        ("quantity", "1000001", "The quantity must lie between 1 and 1,000,000."),
        ("quantity", "1.5", "The quantity must be a whole number"),
        ("amount", "-0.01", "The amount must lie between 0.00 and 1,000,000.00."),
        ("amount", "1000000.01", "The amount must lie between 0.00 and 1,000,000.00."),
        ("amount", "1e9", "The amount must lie between 0.00 and 1,000,000.00."),
        ("amount", "1.005", "The amount must be a number with at most two decimals"),
        ("amount", "NaN", "The amount must be a number with at most two decimals"),
        ("amount", "eleven", "The amount must be a number with at most two decimals"),
        ("currency", "XXX", "Select a valid choice."),
        ("currency", "USD", "is billed in EUR; a charge in USD would never be billed."),
        ("description", " ", "This field is required."),
        ("description", "x" * 256, "Ensure this value has at most 255 characters"),
    ],
)
def test_what_is_wrong_is_said_on_the_page_and_nothing_is_kept(
    page: Client, field: str, value: str, sentence: str
) -> None:
    trade.make_customer(number="K1")

    answer = page.post(ADD, {**GOOD, field: value})

    assert answer.status_code == 422
    assert sentence in answer.text
    assert not Charge.objects.exists()


def test_charges_are_filtered_by_customer_day_and_whether_they_are_billed(page: Client) -> None:
    one, other = trade.make_customer(number="K1"), trade.make_customer(number="K2")
    trade.make_charge(one, day=date(2026, 3, 1), description="first")
    billed(trade.make_charge(one, day=date(2026, 3, 2), description="billed"))
    billed(trade.make_charge(one, day=date(2026, 3, 3), description="released"), released=True)
    trade.make_charge(other, day=date(2026, 3, 2), description="other")

    assert described(page) == ["billed", "first", "other", "released"]
    assert described(page, customer="K2") == ["other"]
    assert described(page, first="2026-03-02", last="2026-03-02") == ["billed", "other"]
    assert described(page, customer="K1", unbilled="on") == ["first", "released"]


def test_a_billed_charge_leads_to_its_invoice(page: Client) -> None:
    line = billed(trade.make_charge(trade.make_customer()))

    assert f'<a href="{line.invoice.get_absolute_url()}">{line.invoice.number}</a>' in page.get(LIST).text


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"customer": "K9"}, "There is no customer with the number K9."),
        ({"first": "yesterday"}, "The date must be a day that exists"),
        ({"first": "2026-03-02", "last": "2026-03-01"}, "The last day lies before the first."),
    ],
)
def test_a_filter_that_is_wrong_says_so_and_shows_nothing_in_its_place(
    page: Client, query: dict[str, str], sentence: str
) -> None:
    trade.make_charge(trade.make_customer(), description="unasked for")

    text = page.get(LIST, query).text

    assert sentence in text
    assert "unasked for" not in text


def test_the_list_is_paged_with_as_many_queries_for_many_as_for_one_and_keeps_its_filter(
    page: Client, django_assert_num_queries: Any
) -> None:
    customer = trade.make_customer(number="K1")
    trade.make_charge(customer)
    page.get(LIST)
    for count in (0, views.CHARGES_PER_PAGE):
        for _ in range(count):
            billed(trade.make_charge(customer))
        with django_assert_num_queries(8):  # session, user, own and group rights, customer, count, rows, lines
            text = page.get(LIST, {"customer": "K1"}).text
    assert "?customer=K1&amp;page=2" in text


def test_the_form_comes_with_the_customer_it_was_opened_for(page: Client) -> None:
    assert 'value="A&amp;B"' in page.get(ADD, {"customer": "A&B"}).text
