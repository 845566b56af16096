"""Money against exact arithmetic."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing.money import Money

AMOUNTS = st.decimals(min_value=-(10**9), max_value=10**9, places=2, allow_nan=False)
PERCENTS = st.decimals(min_value=0, max_value=100, places=2)


def half_up(value: Fraction) -> Fraction:
    """Round to the cent, half a cent away from zero."""
    cents = floor(abs(value) * 100 + Fraction(1, 2))
    return Fraction(cents if value >= 0 else -cents, 100)


@given(AMOUNTS, PERCENTS)
@example(Decimal("0.50"), Decimal("17"))  # 8.5 cents: half to even would make it 8
@example(Decimal("-0.50"), Decimal("17"))
def test_a_share_is_the_exact_one_rounded_half_away_from_zero(amount: Decimal, percent: Decimal) -> None:
    share = Money(amount, "EUR").share(percent)

    assert Fraction(share.amount) == half_up(Fraction(amount) * Fraction(percent) / 100)


@given(st.lists(AMOUNTS, max_size=50))
def test_sums_are_exact_in_any_order(amounts: list[Decimal]) -> None:
    total = sum((Money(amount, "EUR") for amount in amounts), Money.zero("EUR"))
    backwards = sum((Money(amount, "EUR") for amount in reversed(amounts)), Money.zero("EUR"))

    assert Fraction(total.amount) == sum(map(Fraction, amounts), Fraction(0))
    assert total == backwards


@given(AMOUNTS, PERCENTS)
def test_what_is_taken_back_is_what_was_charged(amount: Decimal, percent: Decimal) -> None:
    money = Money(amount, "EUR")

    assert (-money).share(percent) == -(money.share(percent))
    assert money - money == Money.zero("EUR")


def test_two_currencies_never_meet() -> None:
    euro, dollar = Money(Decimal("1.00"), "EUR"), Money(Decimal("1.00"), "USD")

    for operation in (lambda: euro + dollar, lambda: euro - dollar, lambda: euro < dollar):
        with pytest.raises(ValueError, match="two currencies"):
            operation()
    assert euro != dollar


@pytest.mark.parametrize("amount", [1.5, 1, "1.00", Decimal("0.001")])
def test_what_is_no_decimal_to_the_cent_is_refused(amount: object) -> None:
    with pytest.raises(ValueError, match="Decimal to the cent"):
        Money(amount, "EUR")  # type: ignore[arg-type]


def test_it_reads_as_people_write_it_and_nothing_is_false() -> None:
    assert str(Money(Decimal("1234567.80"), "USD")) == "1,234,567.80 USD"
    assert not Money.zero("EUR")
    assert Money(Decimal("-0.01"), "EUR")
    assert Money.zero("EUR") <= Money.zero("EUR")
