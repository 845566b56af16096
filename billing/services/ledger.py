"""The ledger of customers: what was asked for, taken back and paid, in the order of the days."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.models import Invoice, Payment

#: Rows that the database hands over at a time.
CHUNK_ROWS = 2_000


class Row(NamedTuple):
    """One booking. Over any rows the amounts of a currency add up to what customers owe by them."""

    day: date
    kind: str
    number: str
    customer_number: str
    name: str
    currency: str
    net: Decimal | None
    tax: Decimal | None
    amount: Decimal


HEADINGS = (
    gettext_lazy("Date"),
    gettext_lazy("Kind"),
    gettext_lazy("Number"),
    gettext_lazy("Customer number"),
    gettext_lazy("Name"),
    gettext_lazy("Currency"),
    gettext_lazy("Net"),
    gettext_lazy("Tax"),
    gettext_lazy("Amount"),
)
_CUSTOMER = ("customer__number", "customer__name", "currency")


def count(first: date, last: date) -> int:
    """How many rows there are from the first to the last day."""
    return _invoices(first, last).count() + _payments(first, last).count()


def rows(first: date, last: date) -> Iterator[Row]:
    """Yield the rows from the first to the last day, in bounded memory."""
    return heapq.merge(_invoice_rows(first, last), _payment_rows(first, last), key=lambda row: row.day)


def _invoices(first: date, last: date) -> QuerySet[Invoice]:
    return Invoice.objects.filter(issued_on__range=(first, last)).exclude(state=Invoice.State.DRAFT)


def _payments(first: date, last: date) -> QuerySet[Payment]:
    return Payment.objects.filter(day__range=(first, last))


def _invoice_rows(first: date, last: date) -> Iterator[Row]:
    labels = {kind.value: str(kind.label) for kind in Invoice.Kind}
    found = _invoices(first, last).order_by("issued_on", "pk")
    values = found.values_list("issued_on", "kind", "number", *_CUSTOMER, "net", "tax", "gross")
    for day, kind, *rest in values.iterator(CHUNK_ROWS):
        yield Row(day, labels[kind], *rest)


def _payment_rows(first: date, last: date) -> Iterator[Row]:
    label = _("payment")
    found = _payments(first, last).order_by("day", "pk")
    values = found.values_list("day", "invoice__number", *_CUSTOMER, "amount")
    for day, number, customer, name, currency, amount in values.iterator(CHUNK_ROWS):
        yield Row(day, label, number or "", customer, name, currency, None, None, -amount)
