"""The pages of invoices: list, filter, one invoice, and what may be done with it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from billing.models import Customer, Invoice
from billing.money import Money
from billing.services import invoicing, payments
from billing.views import invoices as views
from tests.billing.trade import make_charge, make_customer, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tax_rates")]

LIST = "/billing/invoices/"
ON = date(2026, 4, 1)


@pytest.fixture
def manager(db: None) -> Any:
    """A user who may do all that there is to do with invoices."""
    return make_user("manager", "view_invoice", "change_invoice", "void_invoice")


@pytest.fixture
def page(manager: Any, client: Client) -> Client:
    """The manager's browser."""
    client.force_login(manager)
    return client


def make_issued(amount: str = "100.00", **customer: Any) -> Invoice:
    buyer = make_customer(**customer)
    return invoicing.issue(invoicing.make_draft(buyer, [make_charge(buyer, amount)]).pk, ON)


def test_the_list_is_filtered_by_state_customer_and_number(page: Client) -> None:
    one, two = make_issued(name="Ada King"), make_issued(name="Grace Hopper")
    payments.record(two.total, ON, invoice=two)

    def shown(**query: str) -> list[str]:
        text = page.get(LIST, query).text
        return [str(one.number) for one in (one, two) if f">{one.number}</a>" in text]

    assert shown() == [one.number, two.number]
    assert shown(state="paid") == [two.number]
    assert shown(customer="ada") == [one.number]
    assert shown(customer=two.customer.number) == [two.number]
    assert shown(q="00002") == [two.number]
    assert shown(q="00002", state="issued") == []


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"state": "nonsense", "page": "999"}, "Select a valid choice"),
        ({"run": "x"}, "Enter a whole number."),
        ({"run": "9" * 31}, "less than or equal to 9223372036854775807"),
        ({"q": "\0"}, "Null characters are not allowed."),
    ],
)
def test_a_filter_that_is_wrong_finds_nothing_and_says_why(page: Client, query: dict[str, str], sentence: str) -> None:
    make_issued()

    answer = page.get(LIST, query)

    assert (answer.status_code, sentence in answer.text) == (200, True)
    assert "No invoice matches." in answer.text


def test_pages_keep_the_filter(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "INVOICES_PER_PAGE", 1)
    make_issued(), make_issued()

    assert "?state=issued&amp;page=2" in page.get(LIST, {"state": "issued"}).text


def test_an_invoice_shows_lines_totals_tax_by_rate_and_customer(page: Client) -> None:
    customer = make_customer(name="<i>Ada</i>", address="Weg 1\nBerlin")
    charges = [
        make_charge(customer, "1000.00", description="<b>CD</b>", day=date(2020, 12, 31)),
        make_charge(customer, "100.00", day=date(2021, 1, 1)),
    ]
    invoice = invoicing.issue(invoicing.make_draft(customer, charges).pk, ON)

    text = page.get(invoice.get_absolute_url()).text

    assert "Tax 16 % on 1,000.00" in text
    assert "Tax 19 % on 100.00" in text
    assert "1,279.00 EUR" in text
    assert "&lt;b&gt;CD" in text
    assert "<b>CD" not in text
    assert customer.get_absolute_url() in text
    assert "Weg 1<br>Berlin" in text


def test_reverse_charge_is_noted(page: Client) -> None:
    invoice = make_issued(country="FR", vat_id="FR40303265045")

    assert "Reverse charge: the recipient owes the tax" in page.get(invoice.get_absolute_url()).text


def test_a_draft_is_issued_from_its_page(page: Client) -> None:
    customer = make_customer()
    draft = invoicing.make_draft(customer, [make_charge(customer)])
    assert "Issue</button>" in page.get(draft.get_absolute_url()).text

    page.post(f"{draft.get_absolute_url()}issue/")

    draft.refresh_from_db()
    assert (draft.state, str(draft.number)[-5:]) == ("issued", "00001")


def test_voiding_leads_to_the_credit_note_and_both_link_to_each_other(page: Client, manager: Any) -> None:
    invoice = make_issued()

    answer = page.post(f"{invoice.get_absolute_url()}void/", {"release": "1"}, follow=True)

    note = Invoice.objects.get(kind="credit_note")
    assert answer.redirect_chain == [(note.get_absolute_url(), 302)]
    assert invoice.get_absolute_url() in answer.text
    assert "-119.00 EUR" in answer.text
    text = page.get(invoice.get_absolute_url()).text
    assert note.get_absolute_url() in text
    assert f"Voided by credit note {note.number}." in text
    assert "manager" in text
    assert "Void by a credit note" not in text


def test_voiding_twice_is_refused_with_the_reason(page: Client) -> None:
    invoice = make_issued()
    page.post(f"{invoice.get_absolute_url()}void/")

    answer = page.post(f"{invoice.get_absolute_url()}void/", follow=True)

    assert "Only an issued invoice can be voided" in answer.text
    assert Invoice.objects.filter(kind="credit_note").count() == 1


def test_a_dispute_is_noted_and_taken_back(page: Client) -> None:
    invoice = make_issued()

    for wanted in ("1", "0"):
        page.post(f"{invoice.get_absolute_url()}dispute/", {"disputed": wanted})
        invoice.refresh_from_db()
        assert invoice.disputed is (wanted == "1")
    assert "No longer disputed." in page.get(invoice.get_absolute_url()).text


def test_a_payment_is_suggested_for_the_company_s_day(clerk: Any, client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(views, "today", lambda: date(2031, 5, 1))
    client.force_login(clerk)

    assert 'name="day" required value="2031-05-01"' in client.get(make_issued().get_absolute_url()).text


def test_a_dispute_that_says_neither_changes_nothing(page: Client) -> None:
    invoice = make_issued()
    Invoice.objects.update(disputed=True)

    answer = page.post(f"{invoice.get_absolute_url()}dispute/")

    invoice.refresh_from_db()
    assert (answer.status_code, invoice.disputed) == (400, True)


def test_the_list_shows_what_is_open(page: Client) -> None:
    invoice = make_issued("100.00")
    payments.record(Money(Decimal("19.00"), "EUR"), ON, invoice=invoice)

    assert "100.00 EUR" in page.get(LIST).text


def test_each_refusal_names_the_right_that_is_missing(client: Client) -> None:
    invoice = make_issued()
    address = invoice.get_absolute_url()
    assert client.get(LIST).status_code == 302

    client.force_login(make_user("nobody"))
    for page in (LIST, address):
        answer = client.get(page)
        assert (answer.status_code, "billing.view_invoice" in answer.text) == (403, True)
    client.force_login(make_user("auditor", "view_invoice"))
    assert "</button>" not in client.get(address).text.split("<h1>")[1]
    for verb, right in (("void", "void_invoice"), ("dispute", "change_invoice"), ("issue", "change_invoice")):
        answer = client.post(f"{address}{verb}/", {"disputed": "1"})
        assert (answer.status_code, f"billing.{right}" in answer.text) == (403, True)
    invoice.refresh_from_db()
    assert (invoice.state, invoice.disputed) == ("issued", False)


def test_the_list_asks_as_much_for_many_invoices_as_for_one(page: Client, django_assert_max_num_queries: Any) -> None:
    for _ in range(10):
        make_issued()

    with django_assert_max_num_queries(8):
        page.get(LIST)


def test_a_draft_of_what_is_unbilled_is_made_on_the_customers_page_and_issued(page: Client) -> None:
    customer = make_customer()
    make_charge(customer, "10.00")
    make_charge(customer, "0.00")
    make_charge(customer, "5.00")

    answer = page.post(f"/billing/customers/{customer.pk}/draft/", follow=True)

    draft = Invoice.objects.get()
    assert (draft.state, draft.net, draft.number) == ("draft", Decimal("15.00"), None)
    assert "Issue" in answer.text
    page.post(f"/billing/invoices/{draft.pk}/issue/")
    assert Invoice.objects.get().state == "issued"
    again = page.post(f"/billing/customers/{customer.pk}/draft/")
    assert (again.status_code, Invoice.objects.count()) == (302, 1)


def test_a_discarded_draft_leaves_its_charges_unbilled_and_an_issued_one_stays(page: Client) -> None:
    customer = make_customer()
    make_charge(customer, "10.00")
    draft = invoicing.draft_unbilled(customer.pk)

    page.post(f"/billing/invoices/{draft.pk}/discard/")

    assert not Invoice.objects.exists()
    issued = invoicing.issue(invoicing.draft_unbilled(customer.pk).pk, ON)
    page.post(f"/billing/invoices/{issued.pk}/discard/")
    assert Invoice.objects.get().pk == issued.pk


def test_a_draft_whose_tax_has_changed_is_shown_anew_before_it_is_issued(page: Client) -> None:
    customer = make_customer()
    draft = invoicing.make_draft(customer, [make_charge(customer, "100.00")])
    Customer.objects.update(country="FR", vat_id="FR40303265045")

    answers = [page.post(f"{LIST}{draft.pk}/issue/", follow=True).text for _ in range(2)]

    assert "The tax has changed since this draft was made." in answers[0]
    assert "119.00" not in answers[0]
    assert "The tax has changed" not in answers[1]
    draft.refresh_from_db()
    assert (draft.state, draft.gross) == ("issued", Decimal("100.00"))


def test_a_draft_that_cannot_be_billed_any_more_says_why(page: Client) -> None:
    customer = make_customer()
    draft = invoicing.make_draft(customer, [make_charge(customer)])
    Customer.objects.update(currency="USD")

    assert "who is billed in USD" in page.post(f"{LIST}{draft.pk}/issue/", follow=True).text
