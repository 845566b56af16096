"""What an invoice run would bill: computed before it, shown, and held against when it is confirmed."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Any

from django.db.models import (
    Case,
    CharField,
    Count,
    F,
    Max,
    Q,
    QuerySet,
    Sum,
    TextChoices,
    Value,
    When,
)
from django.utils.translation import gettext_lazy as _

from billing.models import Charge, InvoiceLine, InvoiceRun
from billing.services.charges import unbilled


class LeftOut(TextChoices):
    """Why a charge up to the period's end, not billed yet, is not billed by a run."""

    BEFORE = "before", _("before the period, and never billed")
    LATE = "late", _("entered after the cut-off day")
    ZERO = "zero", _("the amount is zero")
    CURRENCY = "currency", _("in another currency than the customer's")


def billable(run: InvoiceRun) -> QuerySet[Charge]:
    """Return the charges that a confirmed run has still to bill; what it billed once and somebody voided is not."""
    # Not correlated: PostgreSQL takes the lines of a new run for few, and would look through them for each charge.
    voided = InvoiceLine.objects.filter(released=True, invoice__invoice_run=run, charge__isnull=False)
    return unbilled().filter(
        ~Q(pk__in=voided.values("charge")),
        day__range=(run.period_start, run.period_end),
        entered_on__lte=run.cut_off,
        amount__gt=0,
        currency=F("customer__currency"),
        pk__lte=run.last_charge_id,
    )


def plan(start: date, end: date, cut_off: date) -> dict[str, Any]:
    """Return what a run would bill and what it would leave out and why, as JSON; totals are net."""
    reason = Case(
        When(day__lt=start, then=Value(LeftOut.BEFORE.value)),
        When(entered_on__gt=cut_off, then=Value(LeftOut.LATE.value)),
        When(amount=0, then=Value(LeftOut.ZERO.value)),
        When(~Q(currency=F("customer__currency")), then=Value(LeftOut.CURRENCY.value)),
        default=Value(""),
        output_field=CharField(),
    )
    groups = (
        unbilled()
        .filter(day__lte=end)
        .values(reason=reason, in_currency=F("currency"))
        .annotate(charges=Count("pk"), customers=Count("customer", distinct=True), total=Sum("amount"), last=Max("pk"))
        .order_by("reason", "in_currency")
    )
    billed = [group for group in groups if not group["reason"]]
    return {
        # A customer has one currency, so nobody is counted twice.
        "customers": sum(group["customers"] for group in billed),
        "charges": sum(group["charges"] for group in billed),
        "totals": {group["in_currency"]: str(group["total"]) for group in billed},
        "last_charge": max((group["last"] for group in billed), default=0),
        "left_out": [
            {
                "reason": group["reason"],
                "charges": group["charges"],
                "customers": group["customers"],
                "currency": group["in_currency"],
                "total": str(group["total"]),
            }
            for group in groups
            if group["reason"]
        ],
    }


def digest(known: dict[str, Any]) -> str:
    """Return a short text that is another one for another plan."""
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:32]
