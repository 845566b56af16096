"""What e-mails say: subject, text and HTML by kind, in the customer's language, as one message to be sent."""

from __future__ import annotations

import unicodedata
from email.headerregistry import Address
from email.utils import formataddr
from typing import Any

import css_inline
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from billing import anymail, pdf_texts
from billing.addresses import to_ascii
from billing.company import company
from billing.models import Mail
from billing.services import balances

#: No stylesheet of ours is elsewhere, and nothing is fetched while an e-mail is made.
_inliner = css_inline.CSSInliner(load_remote_stylesheets=False)


def has_pdf(mail: Mail) -> bool:
    """Whether the invoice goes with it."""
    return mail.invoice_id is not None and mail.kind != Mail.Kind.STATEMENT


def message_id(mail: Mail) -> str:
    """Return the same id for each try of a mail, so that a second copy can be told by it."""
    return f"<billing.{mail.pk}.{mail.number}@{Address(addr_spec=to_ascii(company().email)).domain}>"


def compose(mail: Mail) -> EmailMultiAlternatives:
    """Return the message, with the invoice's stored PDF.

    Raises ValueError for what no header can hold, ValidationError for what is no address.
    """
    with translation.override(pdf_texts.spoken(mail.customer.language)):
        known = context(mail)
        name = f"billing/mail/{mail.kind}"
        message = EmailMultiAlternatives(
            subject=one_line(render_to_string(f"{name}.subject.txt", known)),
            body=render_to_string(f"{name}.txt", known).strip() + "\n",
            from_email=formataddr((one_line(company().name), to_ascii(company().email))),
            to=[formataddr((one_line(known["name"]), to_ascii(mail.address)))],
            headers={"Message-ID": message_id(mail), "Auto-Submitted": "auto-generated"},
        )
        # Only django-anymail reads it: its events bring it back.
        message.metadata = {anymail.KEY: mail.pk}  # type: ignore[attr-defined]
        message.attach_alternative(_inliner.inline(render_to_string(f"{name}.html", known)), "text/html")
        if has_pdf(mail):
            assert mail.invoice is not None
            with mail.invoice.pdf.open("rb") as file:
                message.attach(f"{pdf_texts.heading(mail.invoice)} {mail.invoice}.pdf", file.read(), "application/pdf")
    return message


def context(mail: Mail) -> dict[str, Any]:
    """Return what the templates of a mail are given, in the language that is active."""
    customer, invoice = mail.customer, mail.invoice
    known: dict[str, Any] = {
        "name": customer.name or _("customer %(number)s") % {"number": customer.number},
        "customer": customer,
        "seller": invoice.seller if invoice else company().as_seller(),
        "language": translation.get_language(),
    }
    if invoice is not None:
        known |= {
            "invoice": invoice,
            "heading": pdf_texts.heading(invoice),
            "total": pdf_texts.money(invoice.gross, invoice.currency),
            "open": pdf_texts.money(invoice.open.amount, invoice.currency),
            "issued_on": pdf_texts.day(invoice.issued_on) if invoice.issued_on else "",
            "due_on": pdf_texts.day(invoice.due_on) if invoice.due_on else "",
        }
    if mail.kind == Mail.Kind.REMINDER:
        known["step"] = int(mail.subject_key.rsplit(":", 1)[1])
    if mail.kind == Mail.Kind.STATEMENT:
        known |= _statement(mail)
    return known


def one_line(text: str) -> str:
    """Return a text that can stand in a header: no line breaks, no other controls."""
    return " ".join("".join(" " if unicodedata.category(c).startswith("C") else c for c in text).split())


def _statement(mail: Mail) -> dict[str, Any]:
    year, month = mail.subject_key.rsplit(":", 1)[1].split("-")
    found = balances.open_invoices().filter(customer=mail.customer).order_by("due_on", "pk")
    rows = [
        {
            "number": invoice.number,
            "due_on": pdf_texts.day(invoice.due_on) if invoice.due_on else "",
            "open": pdf_texts.money(invoice.open.amount, invoice.currency),
        }
        for invoice in found
    ]
    sums = balances.balance(mail.customer)
    return {
        "month": f"{month}/{year}",
        "rows": rows,
        "sums": [pdf_texts.money(sums[currency].amount, currency) for currency in sorted(sums)],
    }
