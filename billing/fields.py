"""Money in the database: whole cents, so that sums are exact in every database."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import DecimalValidator
from django.db import models
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from billing.money import CENT

MAX_DIGITS = 15


class MoneyField(models.Field):
    """A Decimal to the cent in Python, a bigint of cents in the database.

    SQLite keeps a DecimalField as a float, and the sum of the CDNOW file's charges is then 2500315.63000041. `Sum`,
    `Min`, `Max`, order and comparisons work, and `Avg` cuts to the cent; arithmetic between columns needs an
    `ExpressionWrapper` with the field that its result has, and Django says so, as this is none of its number fields.
    """

    description = _("Amount of money, to the cent")

    def get_internal_type(self) -> str:
        """Which column the database has for it."""
        return "BigIntegerField"

    def to_python(self, value: Any) -> Decimal | None:
        """Read what a form or a fixture holds."""
        if value is None:
            return None
        try:
            number = value if isinstance(value, Decimal) else Decimal(str(value))
            cents = number.quantize(CENT)
        except InvalidOperation as error:
            raise ValidationError(_("An amount such as 11.77 was expected.")) from error
        return cents if cents == number else number

    def get_prep_value(self, value: Any) -> Any:
        """Turn an amount into cents; one with a fraction of a cent is an error, never rounded in silence."""
        value = super().get_prep_value(value)
        if value is None or hasattr(value, "as_sql"):
            return value
        if isinstance(value, float):
            raise TypeError(f"{self.name or 'amount'} takes a Decimal, not the float {value!r}.")
        cents = (self.to_python(value) or Decimal(0)).scaleb(2)
        if cents != int(cents):
            raise ValueError(f"{self.name or 'amount'} takes whole cents, not {value}.")
        return int(cents)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        """Turn cents into an amount; PostgreSQL's sums come as Decimals."""
        return None if value is None else Decimal(value).scaleb(-2).quantize(CENT)

    @cached_property
    def validators(self) -> list[Any]:
        """The bounds of what is kept."""
        return [*super().validators, DecimalValidator(MAX_DIGITS, 2)]

    def formfield(self, **kwargs: Any) -> Any:
        """The field of a form."""
        return super().formfield(
            **{"form_class": forms.DecimalField, "max_digits": MAX_DIGITS, "decimal_places": 2, **kwargs}
        )
