"""Which tax a line bears: by the customer's country and the day."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.company import company
from billing.exceptions import CannotBillError
from billing.models import TaxRate

NO_TAX = Decimal("0.00")
#: The members of the European Union, whose tax on value added is one system.
EU = frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())


class Note(TextChoices):
    """What an invoice must say of its tax; an invoice keeps the code in `buyer["tax_note"]`."""

    NONE = "", ""
    REVERSE_CHARGE = (
        "reverse_charge",
        gettext_lazy("Reverse charge: the recipient owes the tax (Article 196, Directive 2006/112/EC)."),
    )
    NOT_TAXABLE = "not_taxable", gettext_lazy("Not taxable in the supplier's country: supply outside the EU.")


@dataclass(frozen=True)
class Tax:
    """The tax of one line."""

    percent: Decimal
    reverse_charge: bool = False
    note: Note = Note.NONE


@dataclass(frozen=True)
class Rates:
    """All rates, held in memory while many lines are taxed; made by `load`."""

    own_country: str
    #: By country: the first days in their order, and the percent from each on.
    days: dict[str, list[date]] = field(default_factory=lambda: defaultdict(list))
    percents: dict[str, list[Decimal]] = field(default_factory=lambda: defaultdict(list))

    def tax_for(self, country: str, vat_id: str, day: date) -> Tax:
        """Return the tax of a sale to a customer there on that day. Raises CannotBillError when no rate is known."""
        country = country or self.own_country
        if country != self.own_country:
            if country not in EU or self.own_country not in EU:
                return Tax(NO_TAX, note=Note.NOT_TAXABLE)
            if vat_id:
                return Tax(NO_TAX, reverse_charge=True, note=Note.REVERSE_CHARGE)
        return Tax(self._percent(country, day))

    def _percent(self, country: str, day: date) -> Decimal:
        index = bisect_right(self.days.get(country, ()), day)
        if not index:
            raise CannotBillError(
                _("No tax rate of %(country)s is known for %(day)s; enter it under Tax rates.")
                % {"country": country, "day": day}
            )
        return self.percents[country][index - 1]


def load() -> Rates:
    """Read all rates."""
    rates = Rates(company().country)
    for country, since, percent in TaxRate.objects.order_by("country", "since").values_list(
        "country", "since", "percent"
    ):
        rates.days[country].append(since)
        rates.percents[country].append(percent)
    return rates
