"""Invoices one by one: drafted from charges, issued with a number, taken back by a credit note."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.utils.translation import gettext as _

from billing import taxes
from billing.company import company, today
from billing.exceptions import CannotBillError, NotADraftError, NotVoidableError
from billing.models import Charge, Customer, Invoice, InvoiceLine, Payment
from billing.money import Money
from billing.services import numbering
from billing.services.charges import unbilled

NOTHING = Decimal("0.00")
#: Of one invoice, which is made and printed in memory.
MAX_CHARGES = 1_000
Period = tuple[date, date]


def build(
    customer: Customer, charges: Iterable[Charge], rates: taxes.Rates, **fields: Any
) -> tuple[Invoice, list[InvoiceLine]]:
    """Make an invoice and its lines in memory: tax rounded per line, totals summed from the rounded lines.

    `fields` are further ones of the invoice. Raises CannotBillError.
    """
    invoice = Invoice(customer=customer, currency=customer.currency, **fields)
    few = list(islice(charges, MAX_CHARGES + 1))
    if not few:
        raise CannotBillError(_("There is nothing to bill."))
    if len(few) > MAX_CHARGES:
        raise CannotBillError(
            _("There are more than %(limit)d charges; draft invoices of them on the customer's page.")
            % {"limit": MAX_CHARGES}
        )
    lines = [_line(invoice, position, charge, rates) for position, charge in enumerate(few, start=1)]
    invoice.net = sum((line.net for line in lines), NOTHING)
    invoice.tax = sum((line.tax for line in lines), NOTHING)
    invoice.gross = invoice.net + invoice.tax
    tax = rates.tax_for(customer.country, customer.vat_id, lines[0].day)
    invoice.reverse_charge = tax.reverse_charge
    invoice.buyer = as_buyer(customer, tax.note)
    return invoice, lines


def stamp(invoice: Invoice, number: str, on: date, seller: dict[str, str]) -> None:
    """Turn a draft in memory into an issued invoice, paid if it asks for nothing; from here on what it says stands."""
    invoice.number = number
    invoice.state = Invoice.State.ISSUED if invoice.gross else Invoice.State.PAID
    invoice.issued_on = on
    invoice.due_on = on + timedelta(days=invoice.customer.payment_days)
    invoice.seller = seller


def as_buyer(customer: Customer, note: str) -> dict[str, str]:
    """Return what an invoice keeps of its customer, with the code of what it must say of the tax."""
    return {
        "number": customer.number,
        "name": customer.name,
        "address": customer.address,
        "country": customer.country or company().country,
        "vat_id": customer.vat_id,
        "language": customer.language,
        "email": customer.email,
        "tax_note": str(note),
    }


@transaction.atomic
def make_draft(customer: Customer, charges: Iterable[Charge], period: Period | None = None) -> Invoice:
    """Make a draft of these charges, none of which may be billed yet. Raises CannotBillError."""
    customer = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    wanted = sorted(charges, key=lambda charge: (charge.day, charge.pk))
    taken = InvoiceLine.objects.filter(charge__in=wanted, released=False).select_related("invoice").first()
    if taken:
        raise CannotBillError(
            _("The charge of %(day)s is on invoice %(invoice)s already.") % {"day": taken.day, "invoice": taken.invoice}
        )
    start, end = period or (None, None)
    invoice, lines = build(customer, wanted, taxes.load(), period_start=start, period_end=end)
    invoice.save()
    InvoiceLine.objects.bulk_create(lines)
    return invoice


@transaction.atomic
def draft_unbilled(customer_id: int) -> Invoice:
    """Make a draft of what a customer has unbilled, the oldest first. Raises CannotBillError."""
    customer = Customer.objects.select_for_update(no_key=True).get(pk=customer_id)
    found = unbilled().filter(customer=customer, currency=customer.currency, amount__gt=0)
    return make_draft(customer, found.order_by("day", "pk")[:MAX_CHARGES])


@transaction.atomic
def discard(invoice_id: int) -> Customer:
    """Throw a draft away; its charges are unbilled again. Raises NotADraftError."""
    invoice = Invoice.objects.select_for_update(of=("self",)).select_related("customer").get(pk=invoice_id)
    if invoice.state != Invoice.State.DRAFT:
        raise NotADraftError(_("Invoice %(number)s was issued before.") % {"number": invoice.number})
    invoice.delete()
    return invoice.customer


@transaction.atomic
def issue(invoice_id: int, on: date | None = None) -> Invoice:
    """Give a draft its number and its day, today unless said otherwise. Raises NotADraftError, CannotBillError.

    Buyer and tax are of this moment. If another tax comes of it than a person saw, it stays a draft, which shows that.
    """
    invoice = Invoice.objects.select_for_update(of=("self",)).select_related("customer").get(pk=invoice_id)
    if invoice.state != Invoice.State.DRAFT:
        raise NotADraftError(_("Invoice %(number)s was issued before.") % {"number": invoice.number})
    kept = {name: getattr(invoice, name) for name in ("pk", "created_at", "period_start", "period_end")}
    charges = [line.charge for line in invoice.lines.select_related("charge").order_by("position") if line.charge]
    renewed, lines = build(invoice.customer, charges, taxes.load(), **kept)
    if (renewed.tax, renewed.buyer["tax_note"]) == (invoice.tax, invoice.buyer["tax_note"]):
        on = on or today()
        stamp(renewed, numbering.take(Invoice.Kind.INVOICE, on)[0], on, company().as_seller())
    invoice.lines.all().delete()
    renewed.save(force_update=True)
    InvoiceLine.objects.bulk_create(lines)
    return renewed


@transaction.atomic
def void(invoice_id: int, user: Any = None, release_charges: bool = True) -> Invoice:
    """Take an issued invoice back and return the credit note that says so. Raises NotVoidableError.

    What was paid on it becomes the customer's credit. With `release_charges` its charges may be billed again.
    """
    invoice = Invoice.objects.select_for_update(of=("self",)).select_related("customer").get(pk=invoice_id)
    is_issued = invoice.state not in (Invoice.State.DRAFT, Invoice.State.VOID)
    if invoice.kind != Invoice.Kind.INVOICE or not is_issued:
        raise NotVoidableError(
            _("Only an issued invoice can be voided; %(number)s is a %(kind)s and %(state)s.")
            % {"number": invoice, "kind": invoice.get_kind_display(), "state": invoice.get_state_display()}
        )
    note = _credit_note(invoice)
    Payment.objects.filter(invoice=invoice).update(invoice=None)
    if release_charges:
        invoice.lines.update(released=True)
    invoice.state = Invoice.State.VOID
    invoice.paid = NOTHING
    invoice.save(update_fields=["state", "paid"])
    remember(user, invoice, _("Voided by credit note %(number)s.") % {"number": note.number})
    return note


@transaction.atomic
def dispute(invoice_id: int, user: Any, is_disputed: bool) -> Invoice:
    """Note that the customer contests an invoice, or no longer does; a disputed one is not reminded of."""
    invoice = Invoice.objects.select_for_update().get(pk=invoice_id)
    if invoice.disputed != is_disputed:
        invoice.disputed = is_disputed
        invoice.save(update_fields=["disputed"])
        remember(user, invoice, _("Disputed.") if is_disputed else _("No longer disputed."))
    return invoice


def remember(user: Any, invoice: Invoice, text: str) -> None:
    """Write into the invoice's history what somebody did, where the admin writes it too; nobody leaves no trace."""
    if user is not None:
        LogEntry.objects.log_actions(user.pk, [invoice], CHANGE, text, single_object=True)


def _line(invoice: Invoice, position: int, charge: Charge, rates: taxes.Rates) -> InvoiceLine:
    customer = invoice.customer
    if (charge.customer_id, charge.currency) != (customer.pk, invoice.currency):
        raise CannotBillError(
            _("A charge of %(day)s in %(currency)s is not one of this customer, who is billed in %(expected)s.")
            % {"day": charge.day, "currency": charge.currency, "expected": invoice.currency}
        )
    percent = rates.tax_for(customer.country, customer.vat_id, charge.day).percent
    return InvoiceLine(
        invoice=invoice,
        position=position,
        charge=charge,
        day=charge.day,
        description=charge.description,
        quantity=charge.quantity,
        tax_percent=percent,
        net=charge.amount,
        tax=Money(charge.amount, charge.currency).share(percent).amount,
    )


def _credit_note(invoice: Invoice) -> Invoice:
    """Write the invoice again with every sum turned round."""
    on = today()
    note = Invoice(
        kind=Invoice.Kind.CREDIT_NOTE,
        state=Invoice.State.ISSUED,
        number=numbering.take(Invoice.Kind.CREDIT_NOTE, on)[0],
        customer=invoice.customer,
        corrects=invoice,
        period_start=invoice.period_start,
        period_end=invoice.period_end,
        issued_on=on,
        currency=invoice.currency,
        buyer=invoice.buyer,
        seller=invoice.seller,
        reverse_charge=invoice.reverse_charge,
        net=-invoice.net,
        tax=-invoice.tax,
        gross=-invoice.gross,
    )
    note.save()
    InvoiceLine.objects.bulk_create(
        InvoiceLine(
            invoice=note,
            position=line.position,
            charge_id=line.charge_id,
            released=True,
            day=line.day,
            description=line.description,
            quantity=-line.quantity,
            tax_percent=line.tax_percent,
            net=-line.net,
            tax=-line.tax,
        )
        for line in invoice.lines.order_by("position")
    )
    return note
