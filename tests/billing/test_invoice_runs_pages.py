"""The pages of invoice runs, as clerk, manager and auditor see them."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from django.test import Client

from billing.models import Charge, Customer, Invoice, InvoiceRun
from billing.services import invoice_runs
from tests.billing.test_queueing import broker_down  # noqa: F401  a fixture
from tests.billing.trade import CUT_OFF, END, START, bill, confirmed_run, make_charge, make_customer, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("tax_rates", "redis")]

LIST = "/billing/invoice-runs/"
PLAN = {"period_start": START.isoformat(), "period_end": END.isoformat(), "cut_off": CUT_OFF.isoformat()}


@pytest.fixture
def manager(db: None) -> Any:
    """A user who plans and confirms."""
    return make_user("manager", "view_invoicerun", "add_invoicerun", "confirm_invoicerun")


@pytest.fixture
def page(manager: Any, client: Client) -> Client:
    """The manager's browser."""
    client.force_login(manager)
    return client


def seen_in(text: str) -> str:
    """The plan that a page shows, as its form sends it."""
    found = re.search(r'name="seen" value="(\w+)"', text)
    assert found, "the page has no form that confirms"
    return found[1]


def test_a_plan_is_shown_first_and_its_confirmation_names_the_amount(page: Client) -> None:
    customer = make_customer()
    make_charge(customer, "1234.50")
    make_charge(customer, "0.00")

    answer = page.post(LIST, PLAN, follow=True)

    run = InvoiceRun.objects.get()
    assert answer.redirect_chain == [(run.get_absolute_url(), 302)]
    assert "Bill 1,234.50 EUR</button>" in answer.text
    assert "the amount is zero" in answer.text
    assert not Invoice.objects.exists()
    assert "1,234.50 EUR" in page.get(LIST).text


def test_the_confirmed_run_is_queued_and_its_page_watches_it(page: Client) -> None:
    make_charge(make_customer())
    plan = page.post(LIST, PLAN, follow=True)
    run = InvoiceRun.objects.get()

    answer = page.post(f"{run.get_absolute_url()}confirm/", {"seen": seen_in(plan.text)}, follow=True)

    run.refresh_from_db()
    assert (run.state, run.confirmed_by.username) == ("running", "manager")  # type: ignore[union-attr]
    assert f'data-run-id="{run.run_id}"' in answer.text
    assert "billing/import.js" in answer.text
    invoice_runs.make_parts(run.pk)
    part = run.parts.get()
    assert f'data-run-id="{part.run_id}"' in page.get(run.get_absolute_url()).text


def test_a_plan_that_changed_is_refused_and_shown_anew(page: Client) -> None:
    customer = make_customer()
    make_charge(customer, "10.00")
    plan = page.post(LIST, PLAN, follow=True)
    run = InvoiceRun.objects.get()
    make_charge(customer, "5.00")

    answer = page.post(f"{run.get_absolute_url()}confirm/", {"seen": seen_in(plan.text)}, follow=True)

    run.refresh_from_db()
    assert (run.state, run.run_id) == ("planned", "")
    assert "The plan has changed" in answer.text
    assert "Bill 15.00 EUR</button>" in answer.text


def test_a_second_click_on_the_confirmation_changes_nothing(page: Client) -> None:
    make_charge(make_customer())
    seen = seen_in(page.post(LIST, PLAN, follow=True).text)
    run = InvoiceRun.objects.get()
    page.post(f"{run.get_absolute_url()}confirm/", {"seen": seen})
    run.refresh_from_db()
    first = run.run_id

    answer = page.post(f"{run.get_absolute_url()}confirm/", {"seen": seen}, follow=True)

    run.refresh_from_db()
    assert run.run_id == first
    assert "confirmed before" in answer.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"period_end": "2026-02-01"}, "cannot end before it"),
        ({"period_start": "0001-01-01"}, "must lie between 1970-01-01 and 2099"),
        ({"cut_off": "9999-12-31"}, "must lie between 1970-01-01 and 2099"),
        ({"period_start": "2026-02-30"}, "must be a day that exists"),
        ({"cut_off": ""}, "This field is required"),
    ],
)
def test_a_period_that_is_none_is_said_beside_its_field(page: Client, fields: dict[str, str], said: str) -> None:
    answer = page.post(LIST, {**PLAN, **fields})

    assert answer.status_code == 422
    assert said in answer.text
    assert not InvoiceRun.objects.exists()


def test_at_the_end_the_page_says_what_was_billed_and_whom_it_could_not(page: Client, manager: Any) -> None:
    make_charge(make_customer(), "100.00")
    lost = make_customer(name="<b>Lost</b>", country="SI")
    make_charge(lost, "50.00", day=date(1997, 1, 1))
    run = bill(confirmed_run(manager, start=date(1997, 1, 1)))

    text = page.get(run.get_absolute_url()).text

    assert "100.00 EUR" in text
    assert "150.00 EUR" in text
    assert "&lt;b&gt;Lost" in text
    assert "No tax rate of SI is known for 1997-01-01" in text
    assert f"?run={run.pk}" in text
    assert "billing/import.js" not in text
    assert "Again, only what failed" in text


def test_again_bills_who_failed_and_nobody_else(page: Client, manager: Any) -> None:
    make_charge(make_customer())
    lost = make_customer(country="SI")
    make_charge(lost, day=date(1997, 1, 1))
    run = bill(confirmed_run(manager, start=date(1997, 1, 1)))
    Customer.objects.filter(pk=lost.pk).update(country="")

    page.post(f"{run.get_absolute_url()}retry/")

    run.refresh_from_db()
    assert run.state == "running"
    assert run.run_id
    assert bill(run).state == "succeeded"
    assert Charge.objects.count() == Invoice.objects.count() == 2


@pytest.mark.usefixtures("broker_down")
def test_without_a_broker_the_run_waits_and_can_be_started_again(page: Client) -> None:
    make_charge(make_customer())
    seen = seen_in(page.post(LIST, PLAN, follow=True).text)
    run = InvoiceRun.objects.get()

    answer = page.post(f"{run.get_absolute_url()}confirm/", {"seen": seen}, follow=True)

    run.refresh_from_db()
    assert (run.state, run.run_id) == ("running", "")
    assert "no worker could be told" in answer.text
    assert "Start again</button>" in answer.text
    page.post(f"{run.get_absolute_url()}retry/")
    assert not Invoice.objects.exists()


def test_each_refusal_names_the_right_that_is_missing(client: Client, manager: Any) -> None:
    make_charge(make_customer())
    run = invoice_runs.plan(START, END, CUT_OFF, manager)
    address = run.get_absolute_url()
    assert client.get(LIST).status_code == 302

    client.force_login(make_user("nobody"))
    assert "billing.view_invoicerun" in client.get(LIST).text
    client.force_login(make_user("auditor", "view_invoicerun"))
    assert client.get(address).status_code == 200
    assert "Show the plan" not in client.get(LIST).text
    assert "billing.add_invoicerun" in client.post(LIST, PLAN).text
    client.force_login(make_user("worker", "view_invoicerun", "add_invoicerun"))
    text = client.get(address).text
    assert 'name="seen"' not in text
    assert "billing.confirm_invoicerun" in text
    for verb in ("confirm", "retry"):
        answer = client.post(f"{address}{verb}/", {"seen": "x"})
        assert answer.status_code == 403
        assert "billing.confirm_invoicerun" in answer.text
    run.refresh_from_db()
    assert run.state == "planned"


def test_the_list_asks_as_much_for_many_runs_as_for_one(
    page: Client, manager: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        invoice_runs.plan(START, END, CUT_OFF, manager)

    with django_assert_max_num_queries(8):
        page.get(LIST)
