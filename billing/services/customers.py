"""Finds customers, and gathers what their page shows."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from billing.company import company, today
from billing.countries import COUNTRIES
from billing.models import Charge, Customer, Invoice, Mail, Payment
from billing.money import Money
from billing.services import balances, charges

#: How many of each kind a customer's page shows; "all …" leads to the rest.
NEWEST = 10
ORDERS = {"number": ("number",), "name": ("name", "number"), "newest": ("-created_at", "-id")}


def found(text: str, order: str = "number") -> QuerySet[Customer]:
    """Find customers whose number, name or e-mail holds a text, in an order of ORDERS."""
    matches = Q()
    # SQLite's LIKE knows only that ASCII letters come in two cases: of others we ask for each case.
    for written in {text, text.lower(), text.upper(), text.title()} if text else set():
        matches |= Q(number__icontains=written) | Q(name__icontains=written) | Q(email__icontains=written)
    return Customer.objects.filter(matches).order_by(*ORDERS[order])


def overview(customer: Customer) -> dict[str, Any]:
    """Gather what a customer's page shows: the newest of each kind, and what is owed by currency."""
    own = Charge.objects.filter(customer=customer).select_related("source")
    return {
        "charges": charges.with_invoice(own).order_by("-day", "-id")[:NEWEST],
        "invoices": Invoice.objects.filter(customer=customer)[:NEWEST],
        "payments": Payment.objects.filter(customer=customer).select_related("invoice")[:NEWEST],
        "mails": Mail.objects.filter(customer=customer)[:NEWEST],
        "balance": owed(customer),
        "country": COUNTRIES.get(customer.country or company().country, customer.country),
    }


def owed(customer: Customer) -> list[Money]:
    """List what a customer owes, one sum for each currency; less than nothing is credit."""
    return [money for _, money in sorted(balances.balance(customer).items())]


def next_number() -> str:
    """Suggest a number for a new customer: the year, and how many there are; the form says if it is taken."""
    return f"C{today():%y}{Customer.objects.count() + 1:05}"
