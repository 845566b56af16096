"""What a person decides about a bank line that waits."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from billing.exceptions import BankLineDecidedError
from billing.models import BankLine, Customer, Invoice, Payment
from billing.money import Money
from billing.services import payments


@transaction.atomic
def pay(line_id: int, user: Any, *, invoice: Invoice | None = None, customer: Customer | None = None) -> Payment:
    """Count a waiting line for an invoice, or as a customer's credit.

    Raises BankLineDecidedError, or PaymentRefusedError for an invoice that takes none of it.
    """
    line = _waiting(line_id)
    assert line.amount is not None
    assert line.day is not None
    payment = payments.record(
        Money(line.amount, line.currency),
        line.day,
        invoice=invoice,
        customer=customer,
        reference=line.reference,
        bank_line=line,
        user=user,
    )
    _decide(line, BankLine.State.MATCHED, "")
    return payment


@transaction.atomic
def ignore(line_id: int, reason: str) -> None:
    """Put a waiting line away, with a person's reason. Raises BankLineDecidedError."""
    _decide(_waiting(line_id), BankLine.State.IGNORED, reason)


def _waiting(line_id: int) -> BankLine:
    line = BankLine.objects.select_for_update().get(pk=line_id)
    if line.state != BankLine.State.WAITING:
        raise BankLineDecidedError(
            _("This line was decided before: %(state)s. %(why)s") % {"state": line.get_state_display(), "why": line.why}
        )
    return line


def _decide(line: BankLine, state: BankLine.State, reason: str) -> None:
    line.state, line.reason = state, reason
    line.save(update_fields=["state", "reason"])
