"""Money is exact in every database, and what would not be is an error."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db.models import ExpressionWrapper, F, Max, Min, Sum
from hypothesis import given
from hypothesis import strategies as st

from billing.fields import MoneyField
from billing.models import Charge, Customer

amounts = st.decimals(Decimal("-9999999999999.99"), Decimal("9999999999999.99"), places=2)


@pytest.fixture
def make_charge(db: None) -> Callable[[Any], Charge]:
    """Store a charge of this amount, entered by hand."""
    customer = Customer.objects.create(number="1")

    def make(amount: Any) -> Charge:
        return Charge.objects.create(customer=customer, day="1997-01-01", quantity=3, amount=amount, currency="USD")

    return make


@given(amounts)
def test_an_amount_goes_through_cents_and_back_unchanged(amount: Decimal) -> None:
    field = MoneyField()

    assert field.from_db_value(field.get_prep_value(amount), None, None) == amount


def test_sums_and_bounds_are_exact_decimals(make_charge: Callable[[Any], Charge]) -> None:
    for amount in ("0.10", "0.20", "9999999999999.99"):
        make_charge(Decimal(amount))

    found = Charge.objects.aggregate(sum=Sum("amount"), least=Min("amount"), most=Max("amount"))

    assert found == {
        "sum": Decimal("10000000000000.29"),
        "least": Decimal("0.10"),
        "most": Decimal("9999999999999.99"),
    }
    assert Charge.objects.filter(amount__lt=Decimal("0.20")).count() == 1
    assert Charge.objects.filter(amount="0.20").exists()


def test_arithmetic_that_would_mix_cents_and_amounts_is_refused(make_charge: Callable[[Any], Charge]) -> None:
    make_charge(Decimal("1.50"))

    with pytest.raises(FieldError):
        Charge.objects.annotate(much=F("amount") * F("quantity")).get()
    with pytest.raises(FieldError):
        Charge.objects.annotate(much=F("amount") + Decimal("1.00")).get()
    times = ExpressionWrapper(F("amount") * F("quantity"), output_field=MoneyField())
    assert Charge.objects.annotate(much=times).earliest("id").much == Decimal("4.50")


@pytest.mark.parametrize(("amount", "error"), [(0.1, TypeError), (Decimal("0.001"), ValueError), ("", ValidationError)])
def test_what_is_no_amount_is_never_stored(
    make_charge: Callable[[Any], Charge], amount: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        make_charge(amount)


def test_a_form_takes_an_amount_to_the_cent() -> None:
    field = MoneyField().formfield()

    assert field.clean("11.77") == Decimal("11.77")
    for text in ("11.777", "NaN", "1" * 20, "eleven"):
        with pytest.raises(ValidationError):
            field.clean(text)


def test_model_validation_knows_the_bounds() -> None:
    field = MoneyField()

    assert field.clean("11.7", None) == Decimal("11.70")
    for text in ("11.777", "NaN", "1" * 16, "eleven"):
        with pytest.raises(ValidationError):
            field.clean(text, None)
