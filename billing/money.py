"""Money: an amount and its currency, which belong together."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from django.utils.translation import gettext_lazy as _

CENT = Decimal("0.01")
#: What we bill in; each has cents.
CURRENCIES = [("EUR", _("Euro")), ("USD", _("US dollar")), ("GBP", _("Pound sterling")), ("CHF", _("Swiss franc"))]


@dataclass(frozen=True)
class Money:
    """An exact amount to the cent. Two currencies never meet in a sum."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal) or self.amount != self.amount.quantize(CENT):
            raise ValueError(f"Money takes a Decimal to the cent, not {self.amount!r}.")

    @classmethod
    def rounded(cls, amount: Decimal, currency: str) -> Money:
        """Round half a cent away from zero, as merchants do (DIN 1333)."""
        return cls(amount.quantize(CENT, rounding=ROUND_HALF_UP), currency)

    @classmethod
    def zero(cls, currency: str) -> Money:
        """Return nothing of a currency."""
        return cls(Decimal("0.00"), currency)

    def share(self, percent: Decimal) -> Money:
        """Return so many percent of it, rounded to the cent."""
        return Money.rounded(self.amount * percent / 100, self.currency)

    def _check(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self} and {other} are of two currencies.")

    def __add__(self, other: Money) -> Money:
        self._check(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        return self + -other

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._check(other)
        return self.amount < other.amount

    def __le__(self, other: Money) -> bool:
        return self == other or self < other

    def __bool__(self) -> bool:
        return bool(self.amount)

    def __str__(self) -> str:
        return f"{self.amount:,.2f} {self.currency}"
