"""Invoices one by one: their sums, their numbers, and that what is issued stands."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from billing import taxes
from billing.exceptions import CannotBillError, IssuedInvoiceError, NotADraftError, NotVoidableError
from billing.models import Charge, Customer, Invoice, InvoiceLine, NumberSequence, Payment
from billing.money import Money
from billing.services import invoicing, overdue, payments
from tests.billing.test_money import half_up
from tests.billing.trade import make_charge, make_customer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tax_rates")]

ON = date(2026, 4, 1)
RATES = taxes.Rates(
    "DE",
    {"DE": [date(1993, 1, 1), date(1998, 4, 1), date(2021, 1, 1)]},
    {"DE": [Decimal("15"), Decimal("16.00"), Decimal("19.5")]},
)
LINES = st.lists(
    st.tuples(
        st.decimals(min_value=0, max_value=1_000_000, places=2),
        st.dates(min_value=date(1993, 1, 1), max_value=date(2099, 12, 31)),
    ),
    min_size=1,
    max_size=40,
)


@given(LINES)
def test_totals_are_exact_sums_of_lines_rounded_one_by_one(given_lines: list[tuple[Decimal, date]]) -> None:
    customer = Customer(pk=1, number="1", currency="EUR")
    charges = [
        Charge(pk=number, customer=customer, amount=amount, day=day, currency="EUR", quantity=1)
        for number, (amount, day) in enumerate(given_lines, start=1)
    ]

    invoice, lines = invoicing.build(customer, charges, RATES)

    net = sum((Fraction(amount) for amount, _ in given_lines), Fraction(0))
    percents = [
        Fraction(15) if day < date(1998, 4, 1) else Fraction(16) if day < date(2021, 1, 1) else Fraction(39, 2)
        for _, day in given_lines
    ]
    tax_of = [
        half_up(Fraction(amount) * percent / 100) for (amount, _), percent in zip(given_lines, percents, strict=True)
    ]
    assert [Fraction(line.tax) for line in lines] == tax_of
    assert (Fraction(invoice.net), Fraction(invoice.tax)) == (net, sum(tax_of, Fraction(0)))
    assert invoice.gross == invoice.net + invoice.tax
    assert [line.position for line in lines] == list(range(1, len(lines) + 1))


@pytest.fixture
def draft() -> Invoice:
    """A draft of two lines: 10.00 and 0.10 EUR net, 19 %."""
    customer = make_customer(payment_days=14, address="Weg 1")
    charges = [make_charge(customer, "10.00"), make_charge(customer, "0.10")]
    return invoicing.make_draft(customer, charges, (date(2026, 3, 1), date(2026, 3, 31)))


@pytest.fixture
def issued(draft: Invoice) -> Invoice:
    """The same, issued."""
    return invoicing.issue(draft.pk, ON)


def test_a_draft_has_no_number_and_its_issue_gives_one_with_day_and_due_day(draft: Invoice) -> None:
    assert (draft.state, draft.number) == ("draft", None)

    issued = invoicing.issue(draft.pk, ON)

    assert (issued.state, issued.number) == ("issued", "2026-00001")
    assert (issued.issued_on, issued.due_on) == (ON, date(2026, 4, 15))
    assert (issued.net, issued.tax, issued.gross) == (Decimal("10.10"), Decimal("1.92"), Decimal("12.02"))
    assert issued.open == Money(Decimal("12.02"), "EUR")
    assert issued.seller["name"] == "Nordlicht Tonträger GmbH"
    assert issued.buyer["address"] == "Weg 1"


def test_a_draft_whose_tax_has_changed_shows_the_new_one_and_is_issued_when_that_was_seen(draft: Invoice) -> None:
    Customer.objects.update(country="FR", vat_id="FR40303265045")

    renewed = invoicing.issue(draft.pk, ON)

    draft.refresh_from_db()
    assert (renewed.state, draft.state, draft.number) == ("draft", "draft", None)
    assert (draft.net, draft.tax, draft.gross) == (Decimal("10.10"), Decimal("0.00"), Decimal("10.10"))
    issued = invoicing.issue(draft.pk, ON)
    assert (issued.number, issued.reverse_charge, issued.buyer["vat_id"]) == ("2026-00001", True, "FR40303265045")
    assert issued.buyer["tax_note"] == "reverse_charge"
    assert [(line.tax_percent, line.tax) for line in issued.lines.all()] == [(0, 0), (0, 0)]
    assert (issued.period_start, issued.created_at) == (draft.period_start, draft.created_at)


def test_a_draft_is_issued_to_the_customer_as_they_are_now(draft: Invoice) -> None:
    Customer.objects.update(address="Weg 2", payment_days=3)

    issued = invoicing.issue(draft.pk, ON)

    assert (issued.buyer["address"], issued.due_on) == ("Weg 2", date(2026, 4, 4))


def test_a_draft_that_cannot_be_billed_any_more_stays_a_draft(draft: Invoice) -> None:
    Customer.objects.update(currency="USD")

    with pytest.raises(CannotBillError, match="billed in USD"):
        invoicing.issue(draft.pk, ON)
    assert Invoice.objects.get().lines.count() == 2


def test_an_invoice_over_nothing_is_paid_from_its_issue_on_and_never_overdue() -> None:
    customer = make_customer(payment_days=0)
    free = invoicing.make_draft(customer, [make_charge(customer, "0.00")])

    issued = invoicing.issue(free.pk, ON)

    assert (issued.gross, issued.paid) == (Decimal("0.00"), Decimal("0.00"))
    assert overdue.mark_overdue(date(2026, 12, 31)) == 0
    assert Invoice.objects.get(pk=issued.pk).state == "paid"
    assert invoicing.void(issued.pk).gross == Decimal("0.00")


def test_only_a_draft_is_issued_and_only_once(issued: Invoice) -> None:
    with pytest.raises(NotADraftError, match="2026-00001"):
        invoicing.issue(issued.pk, ON)


def test_numbers_have_no_holes_in_a_year_whatever_is_rolled_back() -> None:
    customer = make_customer()

    def issue(on: date) -> str:
        return str(invoicing.issue(invoicing.make_draft(customer, [make_charge(customer)]).pk, on).number)

    first = issue(ON)
    with pytest.raises(RuntimeError), transaction.atomic():
        assert issue(ON) == "2026-00002"
        raise RuntimeError("the disk is full")

    assert [first, issue(ON), issue(date(2027, 1, 1)), issue(ON)] == [
        "2026-00001",
        "2026-00002",
        "2027-00001",
        "2026-00003",
    ]
    assert Invoice.objects.filter(number__startswith="2026").count() == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [("gross", Decimal("1.00")), ("number", "2026-00009"), ("due_on", ON), ("buyer", {"name": "other"})],
)
def test_what_an_issued_invoice_says_never_changes(issued: Invoice, field: str, value: Any) -> None:
    setattr(issued, field, value)

    with pytest.raises(IssuedInvoiceError, match="2026-00001"):
        issued.save()
    assert getattr(Invoice.objects.get(), field) != value


def test_a_later_move_of_the_customer_leaves_the_invoice_as_it_was(issued: Invoice) -> None:
    Customer.objects.update(address="elsewhere", name="Other")

    assert Invoice.objects.get().buyer["address"] == "Weg 1"


def test_a_charge_is_on_one_invoice(issued: Invoice) -> None:
    charge = Charge.objects.first()
    assert charge is not None

    with pytest.raises(CannotBillError, match="2026-00001"):
        invoicing.make_draft(issued.customer, [charge])
    with pytest.raises(IntegrityError), transaction.atomic():
        InvoiceLine.objects.create(
            invoice=issued, position=9, charge=charge, day=ON, quantity=1, tax_percent=0, net=Decimal(1), tax=Decimal(0)
        )


def test_a_charge_of_another_customer_or_currency_is_refused() -> None:
    one, other = make_customer(), make_customer()

    with pytest.raises(CannotBillError):
        invoicing.make_draft(one, [make_charge(other)])
    with pytest.raises(CannotBillError, match="in USD"):
        invoicing.make_draft(one, [make_charge(one, currency="USD")])
    with pytest.raises(CannotBillError, match="nothing to bill"):
        invoicing.make_draft(one, [])
    assert not Invoice.objects.exists()


@pytest.mark.parametrize(
    ("country", "vat_id", "note"), [("FR", "FR40303265045", "reverse_charge"), ("CH", "", "not_taxable"), ("", "", "")]
)
def test_the_invoice_notes_why_there_is_no_tax(country: str, vat_id: str, note: str) -> None:
    customer = make_customer(country=country, vat_id=vat_id)

    invoice = invoicing.issue(invoicing.make_draft(customer, [make_charge(customer)]).pk, ON)

    assert invoice.buyer["tax_note"] == note
    assert invoice.reverse_charge is (note == "reverse_charge")
    assert (invoice.tax == 0) is bool(note)


def test_a_credit_note_takes_every_sum_back_under_a_number_of_its_own(issued: Invoice, clerk: Any) -> None:
    note = invoicing.void(issued.pk, clerk)

    issued.refresh_from_db()
    assert (issued.state, issued.open) == ("void", Money.zero("EUR"))
    assert (note.kind, note.corrects, note.number) == ("credit_note", issued, f"C{note.issued_on.year}-00001")  # type: ignore[union-attr]
    assert (note.net, note.tax, note.gross) == (-issued.net, -issued.tax, -issued.gross)
    assert [line.net + line.tax for line in note.lines.all()] == [-line.net - line.tax for line in issued.lines.all()]
    assert note.number in LogEntry.objects.get(user=clerk).get_change_message()


def test_released_charges_are_billed_again_and_others_are_not(issued: Invoice) -> None:
    charges = list(Charge.objects.all())

    invoicing.void(issued.pk, None, release_charges=True)
    again = invoicing.issue(invoicing.make_draft(issued.customer, charges).pk, ON)
    invoicing.void(again.pk, None, release_charges=False)

    assert (again.number, again.gross) == ("2026-00002", issued.gross)
    with pytest.raises(CannotBillError, match="2026-00002"):
        invoicing.make_draft(issued.customer, charges)


def test_what_was_paid_on_a_void_invoice_is_the_customer_s_credit(issued: Invoice) -> None:
    payments.record(Money(Decimal("5.00"), "EUR"), ON, invoice=issued)

    invoicing.void(issued.pk, None)

    payment = Payment.objects.get()
    issued.refresh_from_db()
    assert (payment.invoice, payment.customer, payment.amount) == (None, issued.customer, Decimal("5.00"))
    assert (issued.state, issued.paid) == ("void", 0)


def test_a_draft_a_void_one_and_a_credit_note_cannot_be_voided(draft: Invoice) -> None:
    with pytest.raises(NotVoidableError, match="draft"):
        invoicing.void(draft.pk, None)
    issued = invoicing.issue(draft.pk, ON)
    note = invoicing.void(issued.pk, None)

    for one in (issued, note):
        with pytest.raises(NotVoidableError, match=str(one.number)):
            invoicing.void(one.pk, None)
    assert NumberSequence.objects.get(kind="credit_note").last == 1


def test_a_dispute_is_noted_with_who_said_so(issued: Invoice, clerk: Any) -> None:
    invoicing.dispute(issued.pk, clerk, True)
    invoicing.dispute(issued.pk, clerk, True)

    issued.refresh_from_db()
    assert issued.disputed
    assert LogEntry.objects.filter(user=clerk).count() == 1
