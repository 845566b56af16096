"""Which tax a sale bears: by country, VAT id and day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing import taxes
from billing.exceptions import CannotBillError
from billing.models import TaxRate

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tax_rates")]

DAY = date(2026, 3, 10)


@pytest.mark.parametrize(
    ("day", "percent"),
    [
        ("1993-01-01", 15),
        ("1998-03-31", 15),
        ("1998-04-01", 16),
        ("2006-12-31", 16),
        ("2007-01-01", 19),
        ("2020-06-30", 19),
        ("2020-07-01", 16),
        ("2020-12-31", 16),
        ("2021-01-01", 19),
    ],
)
def test_a_domestic_sale_bears_the_rate_of_its_day(day: str, percent: int) -> None:
    for country, vat_id in (("", ""), ("DE", ""), ("DE", "DE136695976")):
        tax = taxes.load().tax_for(country, vat_id, date.fromisoformat(day))
        assert (tax.percent, tax.reverse_charge, tax.note) == (percent, False, taxes.Note.NONE)


def test_a_business_elsewhere_in_the_eu_owes_the_tax_itself() -> None:
    tax = taxes.load().tax_for("FR", "FR40303265045", DAY)

    assert (tax.percent, tax.reverse_charge, tax.note) == (0, True, taxes.Note.REVERSE_CHARGE)


def test_a_person_elsewhere_in_the_eu_pays_that_country_s_rate() -> None:
    assert taxes.load().tax_for("FR", "", DAY) == taxes.Tax(Decimal("20.00"))
    assert taxes.load().tax_for("FI", "", DAY) == taxes.Tax(Decimal("25.50"))


@pytest.mark.parametrize("country", ["CH", "US", "GB"])
@pytest.mark.parametrize("vat_id", ["", "CHE107787577"])
def test_outside_the_eu_there_is_no_tax_and_the_invoice_says_why(country: str, vat_id: str) -> None:
    assert taxes.load().tax_for(country, vat_id, DAY) == taxes.Tax(Decimal("0.00"), note=taxes.Note.NOT_TAXABLE)


def test_each_country_of_the_eu_has_a_rate_today() -> None:
    rates = taxes.load()

    assert {country for country in taxes.EU if rates.tax_for(country, "", DAY).percent >= 15} == taxes.EU


def test_a_day_before_all_known_rates_is_said_and_not_guessed() -> None:
    with pytest.raises(CannotBillError, match="No tax rate of SI is known for 1997-01-01"):
        taxes.load().tax_for("SI", "", date(1997, 1, 1))

    TaxRate.objects.create(country="SI", since=date(1996, 1, 1), percent=Decimal("5.00"))
    assert taxes.load().tax_for("SI", "", date(1997, 1, 1)).percent == 5


def test_a_company_elsewhere_has_its_own_country_as_home(settings: Any) -> None:
    settings.BILLING_COMPANY = {"country": "AT"}

    assert taxes.load().tax_for("", "", DAY).percent == 20
    assert taxes.load().tax_for("DE", "DE136695976", DAY).reverse_charge
