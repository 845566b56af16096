"""Finds what a booking pays: by the invoice that its reference names, then by payer and amount. It never guesses."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet

from billing.bank_reasons import BankReason
from billing.models import BankLine, Customer, Invoice
from billing.services import balances

#: A year and a number, as on our invoices; people and banks put spaces and strokes into it. Behind a C it is that of a
#: credit note.
INVOICE_NUMBER = re.compile(r"(?<![0-9Cc])([0-9]{4})[-/. ]?([0-9]{5,7})(?![0-9])")
WORD = re.compile(r"[A-Za-z0-9._/-]+")
#: Shorter customer numbers are found by chance in any reference: dates, amounts, counts.
MIN_NUMBER_CHARS = 4
MAX_CANDIDATES = 20


class Match(NamedTuple):
    """The one invoice that a booking pays, or why a person must look."""

    invoice: Invoice | None
    reason: str = ""


class Payers:
    """Who has open invoices, by name and by number; read once for a whole file."""

    def __init__(self) -> None:
        self.by_name: dict[str, set[int]] = defaultdict(set)
        self.by_number: dict[str, set[int]] = defaultdict(set)
        has_open = Exists(balances.open_invoices().filter(customer=OuterRef("pk")))
        found = Customer.objects.filter(has_open).order_by().values_list("pk", "number", "name")
        for pk, number, name in found.iterator():
            self.by_name[_plain(name)].add(pk)
            if len(number) >= MIN_NUMBER_CHARS:
                self.by_number[number.casefold()].add(pk)
        self.by_name.pop("", None)

    def find(self, payer: str, reference: str) -> set[int]:
        """Customers of the payer's name; without one, those whose number the payer's name or the reference holds."""
        named = self.by_name.get(_plain(payer), set())
        words = WORD.findall(f"{payer} {reference}".casefold())
        return named or set().union(*(self.by_number.get(word, set()) for word in words))


def named_invoices(reference: str) -> QuerySet[Invoice]:
    """Issued invoices whose numbers the reference holds, whatever their state."""
    numbers = {f"{year}-{number}" for year, number in INVOICE_NUMBER.findall(reference)}
    return Invoice.objects.filter(number__in=numbers, kind=Invoice.Kind.INVOICE)


def match(amount: Decimal, currency: str, payer: str, reference: str, payers: Payers) -> Match:
    """Find the invoice that money pays; what could be two, or none, is a person's decision."""
    named = list(named_invoices(reference)[:2])
    if len(named) > 1:
        return Match(None, BankReason.SEVERAL_NAMED)
    if named:
        is_open = named[0].open and named[0].currency == currency
        return Match(named[0]) if is_open else Match(None, BankReason.NOT_OPEN)
    customers = payers.find(payer, reference)
    asked = balances.open_invoices().filter(customer__in=customers, currency=currency, gross__gte=amount)
    fitting = [invoice for invoice in asked if invoice.open.amount == amount]
    if len(fitting) == 1:
        return Match(fitting[0])
    return Match(None, BankReason.SEVERAL_FIT if fitting else BankReason.UNKNOWN)


def candidates(line: BankLine) -> list[Invoice]:
    """Open invoices that a waiting line may pay: those it names, the payer's, and those of its amount."""
    open_ones = balances.open_invoices().filter(currency=line.currency)
    named = named_invoices(line.reference).values("pk")
    customers = Payers().find(line.payer, line.reference)
    wanted = Q(pk__in=named) | Q(customer__in=customers) | Q(gross=line.amount)
    return list(open_ones.filter(wanted).select_related("customer").order_by("due_on", "pk")[:MAX_CANDIDATES])


def _plain(name: str) -> str:
    """A name as banks may have changed it: capitals, spaces and punctuation do not count."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", name).casefold()))
