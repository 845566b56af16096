"""Monthly statements for customers who owe something, or have credit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from billing.models import Customer, Mail, Statement
from billing.services import balances, mails
from billing.services.reminders import Outcome

CHUNK_CUSTOMERS = 500


def last_month(day: date) -> date:
    """The first day of the month before this day's."""
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


def due(month: date) -> Iterator[int]:
    """Customers with a balance who have no statement of the month yet."""
    moved = Q(Exists(balances.open_invoices().filter(customer=OuterRef("pk"))))
    moved |= Q(Exists(balances.credit().filter(customer=OuterRef("pk"))))
    found = Customer.objects.filter(moved).exclude(statements__month=month).order_by("pk").values_list("pk", flat=True)
    ids = list(found)
    for start in range(0, len(ids), CHUNK_CUSTOMERS):
        yield from sorted(balances.balances(ids[start : start + CHUNK_CUSTOMERS]))


@transaction.atomic
def make(customer_id: int, month: date, day: date) -> Outcome:
    """Make a customer's statement of a month and ask for its e-mail; a month that has one gets no second."""
    customer = Customer.objects.select_for_update().get(pk=customer_id)
    if customer.statements.filter(month=month).exists():
        return Outcome()
    try:
        mail, _is_new = mails.ask(
            Mail.Kind.STATEMENT, f"statement:{customer.pk}:{month:%Y-%m}", customer, customer.email
        )
    except ValidationError:
        return Outcome(without_email=customer.number)
    Statement.objects.create(customer=customer, month=month, made_on=day)
    return Outcome(mail)
