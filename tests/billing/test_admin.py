"""Billing's tables in the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing import importing
from billing.models import Charge, ChargeImport, Customer
from tests.billing.files import CSV_HEADER

TABLES = ["customer", "charge", "chargeimport", "rejectedline"]


def content(lines: int) -> bytes:
    good = b"".join(b"%d,19970101,1,2.00,a\n" % number for number in range(lines))
    return CSV_HEADER + good + b"nonsense\n" * lines


@pytest.mark.parametrize("table", TABLES)
def test_each_table_is_listed_and_searched_with_as_many_queries_for_many_rows_as_for_few(
    admin_client: Client, make_import: Callable[..., Any], django_assert_max_num_queries: Any, table: str
) -> None:
    for lines in (2, 40):
        importing.run_import(make_import(content(lines), name=f"{lines}.csv").pk)

    address = reverse(f"admin:billing_{table}_changelist")
    with django_assert_max_num_queries(12):
        listed = admin_client.get(address)
    with django_assert_max_num_queries(12):
        searched = admin_client.get(address, {"q": "40.csv"})

    assert (listed.status_code, searched.status_code) == (200, 200)


@pytest.mark.parametrize("table", [ChargeImport, Charge, Customer])
def test_each_row_has_its_page(admin_client: Client, make_import: Callable[..., Any], table: Any) -> None:
    importing.run_import(make_import(content(2)).pk)
    row = table.objects.first()

    address = reverse(f"admin:billing_{table._meta.model_name}_change", args=[row.pk])

    assert admin_client.get(address).status_code == 200


def test_imports_are_made_and_changed_by_the_import_page_only(
    admin_client: Client, make_import: Callable[..., Any]
) -> None:
    record = make_import(content(1))

    assert admin_client.get(reverse("admin:billing_chargeimport_add")).status_code == 403
    changed = admin_client.post(reverse("admin:billing_chargeimport_change", args=[record.pk]), {"name": "other"})
    assert changed.status_code == 403


def test_a_charge_entered_by_hand_is_kept_to_the_cent(admin_client: Client, db: None) -> None:
    customer = Customer.objects.create(number="7")
    values = {"customer": customer.pk, "day": "2024-02-29", "quantity": 1, "amount": "11.77", "currency": "EUR"}

    answer = admin_client.post(reverse("admin:billing_charge_add"), values)

    assert answer.status_code == 302
    charge = Charge.objects.get()
    assert (str(charge.amount), charge.source, charge.line) == ("11.77", None, None)
