"""Money that came in: it is kept, and the invoice that it pays says so in the same transaction."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from billing.company import today
from billing.exceptions import PaymentRefusedError
from billing.models import BankLine, Customer, Invoice, Payment
from billing.money import Money

MAX_REFERENCE_CHARS = 200


@transaction.atomic
def record(
    amount: Money,
    day: date,
    *,
    invoice: Invoice | None = None,
    customer: Customer | None = None,
    reference: str = "",
    bank_line: BankLine | None = None,
    user: Any = None,
    seen_paid: Decimal | None = None,
) -> Payment:
    """Keep a payment for an invoice, or a customer's credit, and return it; raises PaymentRefusedError.

    What is more than the invoice still asks for becomes a second payment without an invoice. `seen_paid` is what was
    paid when the person looked: the same form sent twice is refused the second time. None means that nobody looked.
    """
    if (invoice is None) == (customer is None):
        raise TypeError("record() takes an invoice or a customer, one of the two.")
    if amount <= Money.zero(amount.currency):
        raise PaymentRefusedError(_("A payment is more than nothing; %(amount)s came.") % {"amount": amount})
    facts = {"day": day, "reference": reference[:MAX_REFERENCE_CHARS], "entered_by": user, "currency": amount.currency}
    if customer is not None:
        return Payment.objects.create(customer=customer, amount=amount.amount, bank_line=bank_line, **facts)
    assert invoice is not None
    locked = Invoice.objects.select_for_update().get(pk=invoice.pk)
    _check(locked, amount, seen_paid)
    counted = min(amount, locked.open)
    rest = amount - counted
    kept = [
        Payment(customer_id=locked.customer_id, invoice=for_invoice, amount=part.amount, **facts)
        for part, for_invoice in ((counted, locked), (rest, None))
        if part
    ]
    kept[0].bank_line = bank_line
    for payment in kept:
        payment.save()
    _count(locked, counted)
    return kept[0]


def _check(invoice: Invoice, amount: Money, seen_paid: Decimal | None) -> None:
    if invoice.kind != Invoice.Kind.INVOICE or invoice.state in (Invoice.State.DRAFT, Invoice.State.VOID):
        raise PaymentRefusedError(
            _("%(kind)s %(number)s (%(state)s) takes no payment; only an issued invoice does.")
            % {"kind": invoice.get_kind_display(), "number": invoice, "state": invoice.get_state_display()}
        )
    if amount.currency != invoice.currency:
        raise PaymentRefusedError(
            _("Invoice %(number)s asks for %(expected)s; a payment in %(came)s cannot count for it.")
            % {"number": invoice, "expected": invoice.currency, "came": amount.currency}
        )
    if seen_paid is not None and seen_paid != invoice.paid:
        raise PaymentRefusedError(
            _("Invoice %(number)s got a payment since this page was opened. Look again before you enter another.")
            % {"number": invoice}
        )


def _count(invoice: Invoice, counted: Money) -> None:
    invoice.paid += counted.amount
    if invoice.paid >= invoice.gross:
        invoice.state = Invoice.State.PAID
    elif invoice.due_on and invoice.due_on < today():
        invoice.state = Invoice.State.OVERDUE
    else:
        invoice.state = Invoice.State.PARTLY_PAID
    invoice.save(update_fields=["paid", "state"])
