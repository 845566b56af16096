"""What an invoice says, in words, dates and numbers of the language that is active: the data of its PDF."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language, gettext, pgettext

from billing.models import Invoice, InvoiceLine
from billing.taxes import Note

NOTHING = Decimal("0.00")
#: Countries share Han characters and draw some of them differently.
HAN = {
    "CN": "Noto Sans CJK SC",
    "HK": "Noto Sans CJK HK",
    "JP": "Noto Sans CJK JP",
    "KR": "Noto Sans CJK KR",
    "MO": "Noto Sans CJK HK",
    "TW": "Noto Sans CJK TC",
}
HAN_ELSEWHERE = HAN["CN"]


def spoken(language: str) -> str:
    """Return a customer's language, or the site's if we do not speak it."""
    return language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


def content_of(invoice: Invoice) -> dict[str, Any]:
    """Return all that `typst/invoice.typ` prints."""
    assert invoice.issued_on is not None
    on = invoice.issued_on
    lines = list(invoice.lines.order_by("position"))
    title = f"{heading(invoice)} {invoice.number}"
    return {
        "language": get_language(),
        "han": HAN.get(invoice.buyer.get("country", ""), HAN_ELSEWHERE),
        "title": title,
        "date": {"year": on.year, "month": on.month, "day": on.day},
        "page": gettext("Page {n} of {m}"),
        "footer": f"{invoice.seller.get('name', '')} · {title}",
        "seller": _party(invoice.seller),
        "buyer": _party(invoice.buyer),
        "facts": _facts(invoice),
        "header": [
            pgettext("position on an invoice", "No."),
            gettext("Day"),
            gettext("Description"),
            gettext("Quantity"),
            gettext("Tax"),
            gettext("Net"),
        ],
        "rows": [_row(line) for line in lines],
        "sums": _sums(invoice, lines),
        "total": [gettext("Total"), money(invoice.gross, invoice.currency)],
        "notes": _notes(invoice),
    }


def heading(invoice: Invoice) -> str:
    """Return what it is called on paper."""
    return gettext("Credit note") if invoice.kind == Invoice.Kind.CREDIT_NOTE else gettext("Invoice")


def money(amount: Decimal, currency: str) -> str:
    """Return an amount as the language writes it."""
    return f"{number_format(amount, 2, use_l10n=True, force_grouping=True)} {currency}"


def day(value: date) -> str:
    """Return a day as the language writes it."""
    return date_format(value, "DATE_FORMAT")


def _party(said: dict[str, Any]) -> dict[str, Any]:
    address = [line.strip() for line in str(said.get("address") or "").splitlines()]
    vat_id = said.get("vat_id")
    more = [gettext("VAT id: %(id)s") % {"id": vat_id}] if vat_id else []
    return {"name": said.get("name") or said.get("number") or "", "lines": [*filter(None, address), *more]}


def _facts(invoice: Invoice) -> list[tuple[str, str]]:
    facts = [
        (gettext("Number"), invoice.number or ""),
        (gettext("Issued on"), day(invoice.issued_on) if invoice.issued_on else ""),
        (gettext("Customer"), str(invoice.buyer.get("number", ""))),
    ]
    if invoice.corrects is not None:
        facts.append((gettext("Corrects invoice"), invoice.corrects.number or ""))
    if invoice.period_start and invoice.period_end:
        facts.append((gettext("Period"), f"{day(invoice.period_start)} – {day(invoice.period_end)}"))
    if invoice.due_on:
        facts.append((gettext("Due on"), day(invoice.due_on)))
    return facts


def _row(line: InvoiceLine) -> tuple[str, ...]:
    return (
        str(line.position),
        date_format(line.day, "SHORT_DATE_FORMAT"),
        line.description,
        number_format(line.quantity, use_l10n=True, force_grouping=True),
        f"{number_format(line.tax_percent.normalize(), use_l10n=True)} %",
        number_format(line.net, 2, use_l10n=True, force_grouping=True),
    )


def _sums(invoice: Invoice, lines: list[InvoiceLine]) -> list[tuple[str, str]]:
    """Return the net sum, and the tax of each rate."""
    taxes: dict[Decimal, Decimal] = defaultdict(lambda: NOTHING)
    for line in lines:
        taxes[line.tax_percent] += line.tax
    sums = [(gettext("Net"), money(invoice.net, invoice.currency))]
    for percent, tax in sorted(taxes.items()):
        shown = number_format(percent.normalize(), use_l10n=True)
        sums.append((gettext("Tax %(percent)s %%") % {"percent": shown}, money(tax, invoice.currency)))
    return sums


def _notes(invoice: Invoice) -> list[str]:
    notes = []
    code = invoice.buyer.get("tax_note") or ("reverse_charge" if invoice.reverse_charge else "")
    if code in Note.values:
        notes.append(str(Note(code).label))
    if invoice.kind == Invoice.Kind.INVOICE and invoice.due_on and invoice.seller.get("iban"):
        notes.append(
            gettext("Please pay %(amount)s by %(day)s to %(iban)s, with the reference %(number)s.")
            % {
                "amount": money(invoice.gross, invoice.currency),
                "day": day(invoice.due_on),
                "iban": invoice.seller["iban"],
                "number": invoice.number,
            }
        )
    return [note for note in notes if note]
