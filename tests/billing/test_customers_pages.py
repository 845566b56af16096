"""The pages of customers, as a clerk and an auditor see them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Customer, Mail, Payment
from billing.views import customers as views
from tests.billing import trade
from tests.billing.invoices import make_invoice

pytestmark = pytest.mark.django_db

LIST, ADD = "/billing/customers/", "/billing/customers/add/"
GOOD = {
    "number": "K1",
    "name": "Hafen  Records\tGmbH",
    "email": "post@example.com",
    "address": "Kai 1\n20457 Hamburg",
    "country": "DE",
    "vat_id": "de 136 695 976",
    "language": "de",
    "currency": "EUR",
    "payment_days": "14",
}


@pytest.fixture
def page(clerk: Any, client: Client) -> Client:
    """The clerk's browser."""
    client.force_login(clerk)
    return client


def test_a_customer_is_added_and_shown_as_it_is_kept(page: Client) -> None:
    answer = page.post(ADD, GOOD, follow=True)

    customer = Customer.objects.get()
    assert answer.redirect_chain == [(customer.get_absolute_url(), 302)]
    assert (customer.name, customer.vat_id, customer.payment_days) == ("Hafen Records GmbH", "DE136695976", 14)
    for text in ("Hafen Records GmbH is saved.", "Kai 1<br>20457 Hamburg", "Germany", "14 days", "nothing is open"):
        assert text in answer.text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("number", "", "This field is required."),
        ("number", "ä 1", "The customer number must be 1 to 32 letters, digits or"),
        ("number", "known", "Customer with this Number already exists."),
        ("name", "", "This field is required."),
        ("email", "post@", "Enter a valid email address."),
        ("email", "a@example.com\nBcc: b@example.com", "Enter a valid email address."),
        ("country", "XX", "Select a valid choice."),
        ("vat_id", "DE136695977", "DE136695977 is no VAT id of DE: its check digit is wrong"),
        ("email", "jürgen@example.com", "The part before the @ must be of letters from a to z"),
        ("email", "post@☃.de", "There can be no domain ☃.de."),
        ("language", "xx", "Select a valid choice."),
        ("currency", "JPY", "Select a valid choice."),
        ("payment_days", "-1", "Ensure this value is greater than or equal to 0."),
        ("payment_days", "366", "Ensure this value is less than or equal to 365."),
    ],
)
def test_what_is_wrong_with_a_field_is_said_on_the_page_and_nothing_is_kept(
    page: Client, field: str, value: str, sentence: str
) -> None:
    Customer.objects.create(number="known")

    answer = page.post(ADD, {**GOOD, field: value})

    assert answer.status_code == 422
    assert sentence in answer.text
    assert Customer.objects.count() == 1


def test_an_empty_country_is_the_company_s_own_and_so_are_its_vat_ids(page: Client) -> None:
    page.post(ADD, {**GOOD, "country": ""})
    assert Customer.objects.get().vat_id == "DE136695976"

    answer = page.post(ADD, {**GOOD, "number": "K2", "country": "", "vat_id": "ATU13585627"})
    assert "ATU13585627 is no VAT id of DE" in answer.text


def test_a_customer_is_changed_and_an_invoice_keeps_what_it_said(page: Client) -> None:
    invoice = make_invoice()
    address = reverse("billing:customer_edit", args=[invoice.customer_id])

    page.post(address, {**GOOD, "number": invoice.customer.number})

    invoice.refresh_from_db()
    assert invoice.customer.name == "Hafen Records GmbH"
    assert invoice.buyer["name"] == "Ada King"


def test_the_page_shows_charges_invoices_payments_emails_and_the_balance(page: Client) -> None:
    invoice = make_invoice(lines=1, net=Decimal("1000.00"), due_on=date(2099, 1, 1))
    customer = invoice.customer
    trade.make_charge(customer, "12.34", currency="EUR", description="<b>hostile</b>")
    Payment.objects.create(
        customer=customer, day=date(2026, 1, 2), amount=Decimal("90.00"), currency="EUR", reference="Thanks"
    )
    Mail.objects.create(subject_key="invoice:1", kind="invoice", address="a@example.com", customer=customer)

    text = page.get(customer.get_absolute_url()).text

    # 1,190.00 are open, of which 90.00 were paid without an invoice.
    assert '<span class="sum">1,100.00 EUR</span>' in text
    assert "12.34 EUR" in text and "not billed yet" in text
    assert invoice.number in text and "1,190.00 EUR" in text
    assert "Thanks" in text and "a@example.com" in text
    assert "&lt;b&gt;hostile" in text and "<b>hostile" not in text
    for name in ("charges", "invoices", "payments", "mails"):
        assert f'{reverse(f"billing:{name}")}?customer={customer.number}"' in text


def test_an_auditor_sees_a_customer_and_no_way_to_change_one(client: Client, auditor: Any) -> None:
    customer = trade.make_customer()
    client.force_login(auditor)

    for address in (LIST, customer.get_absolute_url()):
        text = client.get(address).text
        assert customer.name in text
        assert "/add/" not in text and "/edit/" not in text


def test_the_list_is_searched_and_paged_and_the_pager_keeps_the_search(page: Client) -> None:
    trade.make_customers(views.CUSTOMERS_PER_PAGE + 3, charges=0)
    Customer.objects.create(number="X1", name="Somebody Else")

    first = page.get(LIST, {"q": "k0", "order": "name"}).text
    second = page.get(LIST, {"q": "k0", "order": "name", "page": "2"}).text

    assert first.count('<td><a href="/billing/customers/') == views.CUSTOMERS_PER_PAGE
    assert second.count('<td><a href="/billing/customers/') == 3
    assert "?q=k0&amp;order=name&amp;page=2" in first
    assert "Somebody Else" in page.get(LIST, {"q": "ELSE"}).text
    assert "No customer's number, name or e-mail holds this text." in page.get(LIST, {"q": "nobody"}).text


@pytest.mark.parametrize("query", [{"q": "x" * 101}, {"order": "password"}, {"page": "-1"}, {"page": "x"}, {"q": "\0"}])
def test_a_query_that_is_wrong_is_no_error(page: Client, query: dict[str, str]) -> None:
    trade.make_customer()

    assert page.get(LIST, query).status_code == 200


def test_the_list_asks_the_database_as_often_for_many_as_for_one(page: Client, django_assert_num_queries: Any) -> None:
    trade.make_customers(1, charges=0)
    page.get(LIST)
    for count in (0, 40):
        trade.make_customers(count, charges=0)
        with django_assert_num_queries(6):  # session, user, own and group rights, count, rows
            page.get(LIST)


def test_a_page_asks_as_often_for_many_imported_charges_as_for_one(page: Client, make_import: Any) -> None:
    customer = trade.make_customer()
    asked = []
    for number in range(4):
        content = b"customer_id,date,quantity,amount,description\n%d,20260101,1,1.00,a\n" % number
        trade.make_charge(customer, source=make_import(content), line=2)
        with CaptureQueriesContext(connection) as queries:
            assert page.get(customer.get_absolute_url()).text.count("march.csv") == number + 1
        asked.append(len(queries))

    assert asked[3] == asked[1]
