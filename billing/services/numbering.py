"""Numbers of documents: without holes in each year, as they are given in the transaction of what bears them."""

from __future__ import annotations

from datetime import date

from billing.models import Invoice, NumberSequence

#: What a number begins with, so that no invoice and credit note share one.
PREFIXES = {Invoice.Kind.INVOICE: "", Invoice.Kind.CREDIT_NOTE: "C"}


def take(kind: Invoice.Kind, on: date, count: int = 1) -> list[str]:
    """Return the next numbers of the day's year, such as 2026-00001.

    Call it in the transaction that writes the documents, late: the sequence stays locked until that ends, and a
    rollback gives the numbers back.
    """
    sequence, _ = NumberSequence.objects.select_for_update().get_or_create(kind=kind, year=on.year)
    first = sequence.last + 1
    sequence.last += count
    sequence.save(update_fields=["last"])
    return [f"{PREFIXES[kind]}{on.year}-{number:05}" for number in range(first, first + count)]
