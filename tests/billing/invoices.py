"""Issued invoices as a test needs them, written as rows: `make_invoice(lines=3, language="de")`."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from billing.models import Customer, Invoice, InvoiceLine
from billing.money import Money

SELLER = {
    "name": "Nordlicht Tonträger GmbH",
    "address": "Hafenstraße 1\n20457 Hamburg",
    "country": "DE",
    "vat_id": "DE123456788",
    "iban": "DE02120300000000202051",
    "email": "billing@example.com",
}


def make_customer(**fields: Any) -> Customer:
    """Store a customer; the number is the next one."""
    number = f"{Customer.objects.count() + 1:05}"
    values = {"number": number, "name": "Ada King", "email": f"c{number}@example.com", "address": "Main Street 1"}
    return Customer.objects.create(**{**values, **fields})


def make_invoice(
    *,
    customer: Customer | None = None,
    lines: int = 2,
    net: Decimal = Decimal("100.00"),
    tax_percent: Decimal = Decimal("19.00"),
    description: str = "Compact discs",
    language: str = "en",
    buyer: dict[str, Any] | None = None,
    **fields: Any,
) -> Invoice:
    """Store an issued invoice of so many equal lines; `net` is one line's, `buyer` goes over what the customer says."""
    customer = customer or make_customer(language=language)
    currency = fields.pop("currency", "EUR")
    tax = Money(net, currency).share(tax_percent).amount
    number = f"2026-{Invoice.objects.filter(number__isnull=False).count() + 1:05}"
    values: dict[str, Any] = {
        "state": Invoice.State.DRAFT,
        "period_start": date(2026, 1, 1),
        "period_end": date(2026, 1, 31),
        "issued_on": date(2026, 2, 1),
        "due_on": date(2026, 3, 3),
        "net": net * lines,
        "tax": tax * lines,
        "gross": (net + tax) * lines,
        "seller": SELLER,
        "buyer": {
            "name": customer.name,
            "address": customer.address,
            "country": customer.country or "DE",
            "vat_id": customer.vat_id,
            "number": customer.number,
            "language": customer.language,
            "email": customer.email,
            **(buyer or {}),
        },
    }
    issued = {"state": Invoice.State.ISSUED, "number": number}
    final = {name: fields.pop(name, value) for name, value in issued.items()}
    invoice = Invoice(customer=customer, currency=currency, **{**values, **fields})
    # Issued in one step, as only a draft may be written twice.
    for name, value in final.items():
        setattr(invoice, name, value)
    invoice.save()
    InvoiceLine.objects.bulk_create(
        InvoiceLine(
            invoice=invoice,
            position=position,
            day=date(2026, 1, 1 + position % 31),
            description=description,
            quantity=position,
            tax_percent=tax_percent,
            net=net,
            tax=tax,
        )
        for position in range(1, lines + 1)
    )
    return invoice
