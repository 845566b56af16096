"""The company's own data, and the day that it is where the company is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import stdnum.eu.vat
import stdnum.iban
from django.core.exceptions import ImproperlyConfigured

from billing import company
from billing.models import Charge


def test_what_the_setting_leaves_out_is_the_default(settings: Any) -> None:
    settings.BILLING_COMPANY = {"name": "Südwind KG", "country": "AT"}

    found = company.company()

    assert (found.name, found.country) == ("Südwind KG", "AT")
    assert found.currency == company.Company().currency


def test_the_default_company_has_numbers_that_check() -> None:
    found = company.Company()

    assert stdnum.eu.vat.is_valid(found.vat_id)
    assert stdnum.iban.is_valid(found.iban)


def test_a_field_that_there_is_not_is_refused_with_those_that_there_are(settings: Any) -> None:
    settings.BILLING_COMPANY = {"nmae": "Südwind KG"}

    with pytest.raises(ImproperlyConfigured, match=r"takes name, address, .*; given are nmae"):
        company.company()


def test_an_invoice_keeps_who_sold_and_no_settings() -> None:
    assert set(company.Company().as_seller()) == {"name", "address", "country", "vat_id", "iban", "email"}


@pytest.mark.parametrize(
    ("zone", "expected"), [("Europe/Berlin", 1), ("Pacific/Kiritimati", 1), ("America/New_York", 31)]
)
def test_today_is_the_day_in_the_company_s_zone(
    settings: Any, monkeypatch: pytest.MonkeyPatch, zone: str, expected: int
) -> None:
    settings.BILLING_COMPANY = {"time_zone": zone}
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime(2026, 3, 31, 22, 30, tzinfo=UTC))

    assert company.today().day == expected
    entered_on: Any = Charge._meta.get_field("entered_on")
    assert entered_on.get_default() == company.today()
