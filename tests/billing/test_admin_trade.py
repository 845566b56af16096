"""The whole trade in the admin: every table is there, fast for many rows, and what was issued cannot be changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Charge, Customer, Invoice, LedgerExport, Mail, TaxRate
from tests.billing import trade
from tests.billing.office import RUN, fill

pytestmark = pytest.mark.django_db

MODELS = list(apps.get_app_config("billing").get_models())
#: What a person may write in the admin; the rest only services write.
WRITTEN = {Customer, Charge, TaxRate}
MAX_QUERIES = 14


def address(model: type[models.Model], what: str, *args: Any) -> str:
    return reverse(f"admin:billing_{model._meta.model_name}_{what}", args=args)


@pytest.fixture
def office(admin_client: Client, clerk: Any, make_import: Any) -> Iterator[Client]:
    """The admin's browser, with some rows of each table."""
    fill(clerk, make_import, 2)
    yield admin_client


def test_each_model_of_billing_is_in_the_admin_with_search_and_filters() -> None:
    for model in MODELS:
        shown = admin.site.get_model_admin(model)
        assert (shown.search_fields and shown.list_filter) or model is TaxRate, model
        assert len(shown.list_display) > 1, model


@pytest.mark.parametrize("model", MODELS)
def test_a_list_asks_as_often_for_many_rows_as_for_few(
    office: Client, clerk: Any, make_import: Any, model: type[models.Model]
) -> None:
    counts = []
    for _ in range(2):
        fill(clerk, make_import, 5)
        with CaptureQueriesContext(connection) as asked:
            assert office.get(address(model, "changelist"), {"q": "e"}).status_code == 200
            assert office.get(address(model, "changelist")).status_code == 200
        counts.append(len(asked))

    assert counts[0] == counts[1] <= 2 * MAX_QUERIES


@pytest.mark.parametrize("model", MODELS)
def test_each_row_has_its_page_and_only_what_a_person_may_write_is_a_form(
    office: Client, model: type[models.Model]
) -> None:
    row = model._default_manager.order_by("pk").last()
    assert row is not None
    page = office.get(address(model, "change", quote(row.pk)))

    assert page.status_code == 200
    assert ('name="_save"' in page.text) == (model in WRITTEN)
    if model not in WRITTEN:
        assert office.get(address(model, "add")).status_code == 403
        assert office.post(address(model, "change", quote(row.pk)), {"state": "paid"}).status_code == 403


@pytest.mark.parametrize("model", sorted(set(MODELS) - WRITTEN - {LedgerExport}, key=str))
def test_what_services_write_is_not_deleted_one_by_one_or_in_bulk(office: Client, model: type[models.Model]) -> None:
    row = model._default_manager.order_by("pk").last()
    assert row is not None
    before = model._default_manager.count()

    assert office.post(address(model, "delete", quote(row.pk)), {"post": "yes"}).status_code == 403
    office.post(
        address(model, "changelist"), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    )

    assert model._default_manager.count() == before


def test_a_billed_charge_is_read_only_and_an_unbilled_one_is_not(office: Client) -> None:
    charge = trade.make_charge(trade.make_customer())
    page = address(Charge, "change", charge.pk)
    assert 'name="_save"' in office.get(page).text

    line = Invoice.objects.order_by("pk").last().lines.first()  # type: ignore[union-attr]
    line.charge = charge
    line.save()

    assert 'name="_save"' not in office.get(page).text
    assert office.post(address(Charge, "delete", charge.pk), {"post": "yes"}).status_code == 403


def test_records_lead_to_their_runs_and_money_shows_its_currency(office: Client) -> None:
    invoices = office.get(address(Invoice, "changelist")).text

    assert f'<a href="/live/runs/{RUN}/">0e0e0e0e</a>' in invoices
    assert "238.00 EUR" in invoices
    assert f"/live/runs/{RUN}/" in office.get(address(Mail, "changelist")).text


def test_a_customer_is_checked_as_on_the_page(office: Client) -> None:
    values = {"number": "K9", "name": "A", "country": "DE", "vat_id": "DE136695977", "language": "en"}

    answer = office.post(address(Customer, "add"), {**values, "currency": "EUR", "payment_days": "30"})

    assert "its check digit is wrong" in answer.text
    assert not Customer.objects.filter(number="K9").exists()
