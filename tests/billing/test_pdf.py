"""An invoice as PDF: the same bytes each time, PDF/A-3, and whatever it says is text."""

from __future__ import annotations

import hashlib
import unicodedata
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import pdf
from billing.models import Invoice
from tests.billing import pdf_text
from tests.billing.invoices import make_invoice

pytestmark = pytest.mark.django_db

MARKUP = '#eval("1+1") #include "/etc/passwd" [*b*] $x^2$ `raw` <label> @ref // # \\ "}]) _u_ ~ --- = h'


def text_of(invoice: Invoice) -> str:
    return "\n".join(pdf_text.pages(pdf.render(invoice)))


def squeezed(text: str) -> str:
    """Leave out where lines were broken."""
    return "".join(text.split())


def test_it_says_who_what_and_how_much() -> None:
    invoice = make_invoice(lines=2, net=Decimal("1234.50"), description="Discs")

    text = text_of(invoice)

    assert "Nordlicht Tonträger GmbH" in text
    assert "Ada King" in text
    assert "Invoice 2026-00001" in text
    assert text.count("Discs") == 2
    assert "469.12 EUR" in text  # 2 · 19 % of 1,234.50, each rounded to 234.56
    assert "2,938.12 EUR" in text
    assert "DE02120300000000202051" in text
    assert "Page 1 of 1" in text


@pytest.mark.django_db(transaction=True)
def test_the_same_invoice_gives_the_same_bytes_also_in_another_process(start_process: Any) -> None:
    invoice = make_invoice(buyer={"name": "中文 ไทย"})
    here = pdf.render(invoice)

    make_invoice(lines=30)
    pdf.render(make_invoice(buyer={"name": "Ω 文"}))

    assert pdf.render(Invoice.objects.get(pk=invoice.pk)) == here
    statements = f"""
import hashlib
from billing import pdf
from billing.models import Invoice
print(hashlib.sha256(pdf.render(Invoice.objects.get(pk={invoice.pk}))).hexdigest())
"""
    said, _ = start_process(statements).communicate(timeout=60)
    assert said.strip() == hashlib.sha256(here).hexdigest()


def test_it_is_pdf_a_3_dated_by_its_issue() -> None:
    content = pdf.render(make_invoice())

    metadata = pdf_text.metadata(content)
    assert "<pdfaid:part>3</pdfaid:part>" in metadata
    assert "<pdfaid:conformance>B</pdfaid:conformance>" in metadata
    assert "2026-02-01" in metadata


def test_markup_is_printed_and_not_obeyed() -> None:
    invoice = make_invoice(lines=1, description=MARKUP, buyer={"name": MARKUP, "address": MARKUP, "number": MARKUP})

    text = squeezed(text_of(invoice))

    assert text.count(squeezed(MARKUP)) >= 3


@pytest.mark.parametrize(
    "name",
    [
        "Ærøskøbing Łódź ß",
        "Ωμέγα Αθήνα",
        "Привет Ђорђе",
        "Nguyễn Thị Ánh",
        "fi ffl — „x“",
        "中文公司 𠮷",
        "臺灣電路製造",
        "東京さくら株式会社 ｶﾅ",
        "서울 주식회사",
        "שלום כהן",
        "राजेश कुमार क्षेत्र",
        "გიორგი Արամ",
    ],
)
def test_a_name_can_be_copied_in_any_script_that_a_font_is_brought_for(name: str) -> None:
    assert unicodedata.normalize("NFC", name) in unicodedata.normalize(
        "NFC", text_of(make_invoice(buyer={"name": name}))
    )


@pytest.mark.parametrize("name", ["محمد علي", "پیمان گلچهره", "สมชาย ใจดี"])
def test_a_name_whose_letters_are_joined_on_paper_has_each_of_them(name: str) -> None:
    text = text_of(make_invoice(buyer={"name": name}))

    assert set(name) <= set(text)
    assert pdf.BOX not in text


@pytest.mark.parametrize(
    ("name", "font"),
    [
        ("直", b"NotoSansCJKjp"),
        ("علي", b"NotoSansArabic"),
        ("राजेश", b"NotoSansDevanagari"),
        ("ใจดี", b"NotoSansThai"),
    ],
)
def test_the_fonts_are_those_of_the_packages_whatever_the_system_has(name: str, font: bytes) -> None:
    assert font in pdf.render(make_invoice(buyer={"name": name, "country": "JP"}))


@pytest.mark.parametrize("country, font", [("KR", b"CJKkr"), ("TW", b"CJKtc"), ("HK", b"CJKhk"), ("DE", b"CJKsc")])
def test_han_characters_are_drawn_as_in_the_buyers_country(country: str, font: bytes) -> None:
    content = pdf.render(make_invoice(buyer={"name": "直骨", "country": country}))

    assert font in content
    assert content.count(b"/FontDescriptor ") == pdf.render(make_invoice()).count(b"/FontDescriptor ") + 1


@pytest.mark.parametrize("name", ["𞤀𞤣𞤤𞤢𞤥", "বাংলা", "\U0010abcd\uf8ff", "😀", "ᠮᠣᠩ"])
def test_a_script_that_no_font_covers_is_boxes_and_never_a_failure(name: str) -> None:
    line = next(line for line in text_of(make_invoice(buyer={"name": f"<{name}>"})).splitlines() if "<" in line)

    # Some machine may have a font for it.
    assert squeezed(line) == f"<{pdf.BOX * len(name)}>" or name in line


def test_what_no_font_has_is_a_box_and_the_rest_stays() -> None:
    invoice = make_invoice()
    invoice.buyer = {"name": "A\x00B\U0010fffeC\u202eD\ud800E"}  # PostgreSQL would store neither NUL nor half a pair

    assert f"A{pdf.BOX}B{pdf.BOX}CD{pdf.BOX}E" in text_of(invoice)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(max_size=60), description=st.text(max_size=60))
def test_any_text_makes_a_page(name: str, description: str) -> None:
    invoice = Invoice.objects.first() or make_invoice(lines=1)
    invoice.buyer = {"name": name, "address": description, "language": "en"}

    assert pdf.render(invoice).startswith(b"%PDF-")


def test_500_lines_are_paginated_with_their_header_on_each_page() -> None:
    invoice = make_invoice(lines=500)

    pages = pdf_text.pages(pdf.render(invoice))

    assert len(pages) > 10
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
        assert "Description" in page
    assert "\n500 " in pages[-1]


def test_days_and_amounts_follow_the_buyers_language() -> None:
    text = text_of(make_invoice(lines=1, net=Decimal("1234.50"), language="de"))

    assert "1.234,50 EUR" in text
    assert "1. Februar 2026" in text


def test_reverse_charge_and_a_credit_note_say_so() -> None:
    invoice = make_invoice(tax_percent=Decimal("0.00"), reverse_charge=True, buyer={"tax_note": "reverse_charge"})
    note = make_invoice(kind=Invoice.Kind.CREDIT_NOTE, corrects=invoice, due_on=None, net=Decimal("-100.00"))

    assert "Reverse charge" in text_of(invoice)
    text = text_of(note)
    assert "Credit note 2026-00002" in text
    assert "2026-00001" in text
    assert "Please pay" not in text
