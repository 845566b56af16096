"""Finds charges, and adds one by hand."""

from __future__ import annotations

from datetime import date

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from billing.models import Charge, Customer, InvoiceLine


def billing_lines() -> QuerySet[InvoiceLine]:
    """Lines that bill their charge; one of a void invoice may have released it."""
    return InvoiceLine.objects.filter(released=False)


def unbilled() -> QuerySet[Charge]:
    """Return the charges that are on no invoice, or on void ones only."""
    return Charge.objects.filter(~Exists(billing_lines().filter(charge=OuterRef("pk"))))


def with_invoice(charges: QuerySet[Charge]) -> QuerySet[Charge]:
    """Let each charge know the line that bills it, as `charge.billed`: a list of one or none."""
    lines = billing_lines().select_related("invoice")
    return charges.prefetch_related(Prefetch("lines", queryset=lines, to_attr="billed"))


def found(
    customer: Customer | None = None, first: date | None = None, last: date | None = None, is_unbilled: bool = False
) -> QuerySet[Charge]:
    """Find charges of a customer and of days from `first` to `last`, newest first; None means all."""
    charges = unbilled() if is_unbilled else Charge.objects.all()
    if customer:
        charges = charges.filter(customer=customer)
    if first:
        charges = charges.filter(day__gte=first)
    if last:
        charges = charges.filter(day__lte=last)
    return with_invoice(charges.select_related("customer", "source")).order_by("-day", "-id")
