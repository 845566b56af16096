"""What e-mails say, and that no name can become a header, a tag or another recipient."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from email import message_from_bytes, policy
from typing import Any

import pytest
from django.utils import translation

from billing import mail_texts
from billing.models import Invoice, Mail
from billing.services import documents, mails
from tests.billing.invoices import make_customer, make_invoice

pytestmark = pytest.mark.django_db

HOSTILE = 'Eve\r\nBcc: all@example.org\r\n\r\n<script>alert(1)</script> & "Söhne" \u2028'


def compose(kind: str, key: str, invoice: Invoice | None, customer: Any = None) -> Any:
    customer = customer or invoice.customer  # type: ignore[union-attr]
    if invoice is not None:
        invoice = documents.store_pdf(invoice.pk)
    return mail_texts.compose(mails.ask(kind, key, customer, customer.email, invoice)[0])


def parsed(message: Any) -> Any:
    return message_from_bytes(message.message().as_bytes(), policy=policy.default)


def test_a_name_with_line_breaks_and_tags_stays_a_name() -> None:
    customer = make_customer(name=HOSTILE, email="eve@example.com")
    invoice = make_invoice(customer=customer)

    message = compose("invoice", f"invoice:{invoice.pk}", invoice)

    read = parsed(message)
    assert read["Bcc"] is None
    assert [address.addr_spec for address in read["To"].addresses] == ["eve@example.com"]
    assert read["To"].addresses[0].display_name.startswith("Eve Bcc: all@example.org <script>")
    html = message.alternatives[0].content
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert '<script>alert(1)</script> & "Söhne"' in message.body


def test_a_company_with_line_breaks_adds_no_header(settings: Any) -> None:
    settings.BILLING_COMPANY = {"name": "Evil\nBcc: all@example.org", "email": "a@evil.example"}
    invoice = make_invoice(seller={"name": "Evil\nBcc: all@example.org"})

    read = parsed(compose("invoice", f"invoice:{invoice.pk}", invoice))

    assert read["Bcc"] is None
    assert read["From"].addresses[0].addr_spec == "a@evil.example"
    assert "Evil Bcc: all@example.org" in read["Subject"]


def test_css_is_in_the_tags_and_nothing_is_loaded_from_elsewhere() -> None:
    invoice = make_invoice()

    html = compose("invoice", f"invoice:{invoice.pk}", invoice).alternatives[0].content

    assert "<style" not in html
    assert 'style="' in html
    assert "http" not in html


def test_amounts_and_days_are_written_as_the_customer_writes_them() -> None:
    german = make_invoice(language="de", net=Decimal("1234.50"), lines=1, tax_percent=Decimal("0.00"))
    english = make_invoice(language="en", net=Decimal("1234.50"), lines=1, tax_percent=Decimal("0.00"))

    bodies = [compose("invoice", f"invoice:{invoice.pk}", invoice).body for invoice in (german, english)]

    assert "1.234,50 EUR" in bodies[0]
    assert "3. März 2026" in bodies[0]
    assert "1,234.50 EUR" in bodies[1]
    assert "March 3, 2026" in bodies[1]


def test_who_asks_in_another_language_does_not_change_the_customers() -> None:
    invoice = make_invoice(language="en")

    with translation.override("de"):
        body = compose("invoice", f"invoice:{invoice.pk}", invoice).body

    assert "March 3, 2026" in body


@pytest.mark.parametrize(
    ("step", "subject", "words"),
    [(1, "Reminder:", "has escaped you"), (2, "Second reminder:", "we have reminded you"), (3, "Last", "our last")],
)
def test_each_step_of_reminding_has_its_own_words_and_the_open_amount(step: int, subject: str, words: str) -> None:
    invoice = make_invoice(lines=1, net=Decimal("100.00"))
    Invoice.objects.filter(pk=invoice.pk).update(paid=Decimal("19.50"))

    message = compose("reminder", f"reminder:{invoice.pk}:{step}", invoice)

    assert message.subject.startswith(subject)
    for text in (message.body, message.alternatives[0].content):
        assert words in text
        assert "99.50 EUR" in text
    assert message.attachments[0].mimetype == "application/pdf"


def test_a_statement_lists_what_is_open_and_nothing_else() -> None:
    customer = make_customer()
    open_one = make_invoice(customer=customer, lines=1)
    paid = make_invoice(customer=customer, state=Invoice.State.PAID, due_on=date(2026, 1, 1))

    message = compose("statement", f"statement:{customer.pk}:2026-10", None, customer)

    for text in (message.body, message.alternatives[0].content):
        assert str(open_one.number) in text
        assert "119.00 EUR" in text
        assert str(paid.number) not in text
    assert "10/2026" in message.subject
    assert message.attachments == []


def test_a_credit_note_does_not_ask_for_money() -> None:
    note = make_invoice(kind=Invoice.Kind.CREDIT_NOTE, due_on=None, net=Decimal("-100.00"))

    message = compose("invoice", f"invoice:{note.pk}", note)

    assert "credit note" in message.body
    assert "Please pay" not in message.body
    assert Mail.objects.get().kind == "invoice"
