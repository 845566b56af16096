"""A bank's file becomes payments, each booking once; what is ambiguous waits for a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile

from billing.bank_reasons import BankReason
from billing.exceptions import BankLineDecidedError, PaymentRefusedError
from billing.models import BankImport, BankLine, Invoice, Payment
from billing.services import bank, bank_lines, payments
from billing.tasks.payments import import_bank_file
from tests.billing.bank_files import HEADER, bring, content, receive
from tests.billing.invoices import make_customer, make_invoice

#: Each invoice below is over 238.00 EUR.
WHOLE = Decimal("238.00")


def lines(record: BankImport) -> list[tuple[int, str, str]]:
    """What became of each line: its number, state and reason."""
    return list(record.lines.order_by("line").values_list("line", "state", "reason"))


def test_a_reference_that_names_an_open_invoice_pays_it(clerk: Any) -> None:
    invoice = make_invoice()

    record = bring(clerk, f"B1,2026-03-01,238.00,EUR,Somebody,Thanks for invoice {invoice.number}!")

    assert lines(record) == [(2, "matched", "")]
    payment = Payment.objects.get()
    assert (payment.invoice, payment.amount, payment.day) == (invoice, WHOLE, date(2026, 3, 1))
    assert payment.bank_line == record.lines.get()
    invoice.refresh_from_db()
    assert (invoice.state, invoice.paid) == ("paid", WHOLE)
    assert record.state == "succeeded"


@pytest.mark.parametrize("written", ["{y}-{n}", "RE{y}-{n}", "{y} {n}", "{y}{n}", "Nr.{y}/{n},cust.7", "x{y}-{n}."])
def test_an_invoice_s_number_is_found_as_people_and_banks_write_it(clerk: Any, written: str) -> None:
    year, number = make_invoice().number.split("-")

    record = bring(clerk, f'B1,2026-03-01,10.00,EUR,Somebody,"{written.format(y=year, n=number)}"')

    assert lines(record) == [(2, "matched", "")]


@pytest.mark.parametrize("written", ["C{y}-{n}", "1{y}-{n}", "{y}-{n}9", "{y}--{n}"])
def test_another_number_that_holds_an_invoice_s_is_not_it(clerk: Any, written: str) -> None:
    year, number = make_invoice().number.split("-")

    record = bring(clerk, f"B1,2026-03-01,10.00,EUR,Somebody,{written.format(y=year, n=number)}")

    assert lines(record) == [(2, "waiting", BankReason.UNKNOWN)]


def test_without_a_number_payer_and_amount_find_the_invoice(clerk: Any) -> None:
    wanted = make_invoice(customer=make_customer(name="Jörg Groß & Söhne"))
    make_invoice(customer=wanted.customer, net=Decimal("50.00"))
    make_invoice(customer=make_customer(name="Another"))

    record = bring(clerk, "B1,2026-03-01,238.00,EUR,JÖRG  GROSS SÖHNE,my bill")

    assert lines(record) == [(2, "matched", "")]
    assert Payment.objects.get().invoice == wanted


def test_a_customer_s_number_in_the_reference_is_as_good_as_the_name(clerk: Any) -> None:
    wanted = make_invoice(customer=make_customer(number="K-4711"))

    record = bring(clerk, "B1,2026-03-01,238.00,EUR,A. Cousin,customer k-4711 says hello")

    assert lines(record) == [(2, "matched", "")]
    assert Payment.objects.get().invoice == wanted


def test_numbers_that_differ_in_case_alone_are_not_guessed_between(clerk: Any) -> None:
    for number in ("AB12", "ab12"):
        make_invoice(customer=make_customer(number=number, name=""))

    bring(clerk, "B1,2026-03-01,238.00,EUR,x,AB12")

    assert (BankLine.objects.get().state, BankLine.objects.get().reason) == ("waiting", "several_fit")


def test_what_is_ambiguous_waits_for_a_person_with_its_reason(clerk: Any) -> None:
    first = make_invoice(customer=make_customer(name="Twin"))
    second = make_invoice(customer=make_customer(name="Twin"))
    paid = make_invoice(customer=make_customer(name="Paid"), state=Invoice.State.PAID, paid=WHOLE)
    dollars = make_invoice(customer=make_customer(name="Dollar"), currency="USD")

    record = bring(
        clerk,
        "B1,2026-03-01,238.00,EUR,Twin,hello",
        f"B2,2026-03-01,476.00,EUR,Twin,{first.number} and {second.number}",
        f"B3,2026-03-01,238.00,EUR,Paid,{paid.number} again",
        f"B4,2026-03-01,238.00,EUR,Dollar,{dollars.number}",
        "B5,2026-03-01,238.00,EUR,Nobody we know,",
        "B6,2026-03-01,237.99,EUR,Twin,a cent less",
    )

    assert lines(record) == [
        (2, "waiting", BankReason.SEVERAL_FIT),
        (3, "waiting", BankReason.SEVERAL_NAMED),
        (4, "waiting", BankReason.NOT_OPEN),
        (5, "waiting", BankReason.NOT_OPEN),
        (6, "waiting", BankReason.UNKNOWN),
        (7, "waiting", BankReason.UNKNOWN),
    ]
    assert not Payment.objects.exists()


def test_too_much_pays_the_invoice_and_the_rest_is_credit(clerk: Any) -> None:
    invoice = make_invoice()

    bring(clerk, f"B1,2026-03-01,300.00,EUR,Ada,{invoice.number}")

    invoice.refresh_from_db()
    assert invoice.state == "paid"
    assert Payment.objects.get(invoice=None).amount == Decimal("62.00")


def test_bad_lines_are_rejected_with_their_number_and_reason(clerk: Any) -> None:
    record = receive(
        content(
            "B1,2026-02-30,1.00,EUR,a,no such day",
            "B2,2026-03-01,NaN,EUR,a,b",
            "B3,2026-03-01,1.234,EUR,a,thousands or decimals?",
            "B4,2026-03-01,0.00,EUR,a,b",
            "B5,2026-03-01,99999999999,EUR,a,absurd",
            "B6,2026-03-01,-20.00,EUR,a,outgoing",
            "B7,2026-03-01,1.00,XXX,a,b",
            "B8,2026-03-01,1.00,EUR,a",
            'B9,2026-03-01,1.00,EUR,a,"left open',
            "",
            "B10,1960-01-01,1.00,EUR,a,b",
            "B11,2026-03-01,1.00,EUR,a,\x07",
            "B" * 65 + ",2026-03-01,1.00,EUR,a,b",
            "B12,2026-03-01,1.00,EUR,a," + "x" * 5_000,
        )
        + b"B13,2026-03-01,1.00,EUR,\x81,b",
        clerk,
    )

    bank.run_import(record.pk)

    assert lines(record) == [
        (2, "rejected", BankReason.DAY),
        (3, "rejected", BankReason.AMOUNT),
        (4, "rejected", BankReason.AMOUNT),
        (5, "rejected", BankReason.AMOUNT_RANGE),
        (6, "rejected", BankReason.AMOUNT_RANGE),
        (7, "ignored", BankReason.OUTGOING),
        (8, "rejected", BankReason.CURRENCY),
        (9, "rejected", BankReason.COLUMNS),
        (10, "rejected", BankReason.QUOTES),
        (12, "rejected", BankReason.DAY_RANGE),
        (13, "rejected", BankReason.CONTROL),
        (14, "rejected", BankReason.BOOKING),
        (15, "rejected", BankReason.TOO_LONG),
        (16, "rejected", BankReason.ENCODING),
    ]
    assert r"B11,2026-03-01,1.00,EUR,a,\x07" == record.lines.get(line=13).reference
    assert not Payment.objects.exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1"])
def test_a_german_file_is_read_in_each_encoding_that_banks_use(clerk: Any, encoding: str) -> None:
    invoice = make_invoice(customer=make_customer(name="Jürgen Weiß"), net=Decimal("1000.00"), lines=1)
    header = HEADER.replace(",", ";")
    record = receive(content("B1;1.3.2026;1.190,00;eur;Jürgen Weiß;Grüße", header=header, encoding=encoding), clerk)

    bank.run_import(record.pk)

    assert lines(record) == [(2, "matched", "")]
    row = record.lines.get()
    assert (row.day, row.amount, row.currency, row.reference) == (
        date(2026, 3, 1),
        Decimal("1190.00"),
        "EUR",
        "Grüße",
    )
    assert Payment.objects.get().invoice == invoice


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (content("B1,2026-03-01,1.00,EUR,a,b", encoding="utf-16"), "The file is UTF-16 text, and UTF-8 was expected"),
        (b"PK\x03\x04\0\0", "The file is not text"),
        (b"date,amount\n1,2\n", "The first line must name the columns booking_id,date"),
        (content(), "The file holds a header and no bookings"),
    ],
)
def test_a_file_that_is_no_account_statement_is_refused_with_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        bank.check(SimpleUploadedFile("march.csv", data))


def test_the_same_booking_in_two_files_is_one_payment(clerk: Any) -> None:
    invoice = make_invoice(net=Decimal("1000.00"))
    first = [f"B1,2026-03-01,5.00,EUR,Ada,{invoice.number}", f",2026-03-01,6.00,EUR,Ada,{invoice.number}"]
    bring(clerk, *first)

    again = bring(clerk, *first, f"B2,2026-03-02,7.00,EUR,Ada,{invoice.number}")

    assert lines(again) == [(2, "ignored", BankReason.KNOWN), (3, "ignored", BankReason.KNOWN), (4, "matched", "")]
    invoice.refresh_from_db()
    assert invoice.paid == Decimal("18.00")


def test_equal_bookings_without_an_id_in_one_file_are_two_payments(clerk: Any) -> None:
    invoice = make_invoice()
    line = f",2026-03-01,5.00,EUR,Ada,{invoice.number}"
    bring(clerk, line, line)

    again = bring(clerk, line, line, line)

    assert [state for _, state, _ in lines(again)] == ["ignored", "ignored", "matched"]
    invoice.refresh_from_db()
    assert invoice.paid == Decimal("15.00")


def test_an_id_that_another_bank_gave_to_another_booking_hides_no_money(clerk: Any) -> None:
    invoice = make_invoice()
    bring(clerk, f"1,2026-03-01,5.00,EUR,Ada,{invoice.number}")
    other_bank = [f"1,2026-03-09,6.00,EUR,Ada,{invoice.number}"]

    assert lines(bring(clerk, *other_bank)) == [(2, "matched", "")]
    assert lines(bring(clerk, *other_bank, "")) == [(2, "ignored", BankReason.KNOWN)]

    invoice.refresh_from_db()
    assert invoice.paid == Decimal("11.00")


@pytest.mark.parametrize("step", ["matching.match", "payments.record", "BankLine.save"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", [1, 3])
def test_an_import_broken_off_at_any_step_goes_on_exactly(
    clerk: Any, monkeypatch: pytest.MonkeyPatch, step: str, when: str, call: int
) -> None:
    invoice = make_invoice(net=Decimal("1000.00"))
    record = receive(content(*[f",2026-03-01,5.00,EUR,Ada,{invoice.number}"] * 5), clerk)
    room, name = step.split(".")
    owner: Any = getattr(bank, room)
    real: Callable[..., Any] = getattr(owner, name)
    calls: list[Any] = []

    def breaking(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == call and when == "before":
            raise InterruptedError
        answer = real(*args, **kwargs)
        if len(calls) == call and when == "after":
            raise InterruptedError
        return answer

    with monkeypatch.context() as broken:
        broken.setattr(owner, name, breaking)
        with pytest.raises(InterruptedError):
            bank.run_import(record.pk)
    assert record.lines.count() == Payment.objects.count()

    bank.run_import(record.pk)
    bank.run_import(record.pk)

    invoice.refresh_from_db()
    assert [state for _, state, _ in lines(record)] == ["matched"] * 5
    assert (invoice.paid, Payment.objects.count()) == (Decimal("25.00"), 5)


def test_a_line_that_another_worker_lands_in_this_moment_lands_once(
    clerk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoice = make_invoice()
    record = receive(content(f"B1,2026-03-01,5.00,EUR,Ada,{invoice.number}"), clerk)
    real: Callable[..., Any] = bank._land
    calls: list[Any] = []

    def land_beside_another(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 1:
            real(*args)
            # What the database says to the slower of two.
            raise bank.IntegrityError("UNIQUE constraint failed")
        real(*args)

    monkeypatch.setattr(bank, "_land", land_beside_another)
    bank.run_import(record.pk)

    assert len(calls) == 2
    assert (record.lines.count(), Payment.objects.count()) == (1, 1)


def test_the_task_says_how_many_lines_ended_how(clerk: Any) -> None:
    record = receive(content("B1,2026-03-01,5.00,EUR,Ada,?", "B2,2026-03-01,-5.00,EUR,Ada,?", "nonsense"), clerk)

    result = import_bank_file.apply((record.pk,))

    assert result.get() == {"waiting": 1, "ignored": 1, "rejected": 1}


def test_an_import_that_fails_says_so_on_itself_and_may_be_run_again(clerk: Any) -> None:
    record = receive(content("B1,2026-03-01,5.00,EUR,Ada,?"), clerk)
    path = record.file.path
    with open(path, "rb") as file:
        data = file.read()
    record.file.storage.delete(str(record.file.name))

    import_bank_file.apply((record.pk,))
    record.refresh_from_db()
    assert (record.state, record.error[:18]) == ("failed", "FileNotFoundError:")

    with open(path, "wb") as file:
        file.write(data)
    import_bank_file.apply((record.pk,))
    record.refresh_from_db()
    assert (record.state, record.error) == ("succeeded", "")


@pytest.fixture
def waiting_line(clerk: Any) -> BankLine:
    """A line over 238.00 EUR of which nobody knows what it pays."""
    return bring(clerk, "B1,2026-03-01,238.00,EUR,Nobody,?").lines.get()


def test_a_person_assigns_an_invoice_once(waiting_line: BankLine, clerk: Any) -> None:
    invoice = make_invoice()

    bank_lines.pay(waiting_line.pk, clerk, invoice=invoice)

    waiting_line.refresh_from_db()
    invoice.refresh_from_db()
    assert (waiting_line.state, invoice.state) == ("matched", "paid")
    assert (waiting_line.payment.entered_by, waiting_line.payment.invoice) == (clerk, invoice)
    with pytest.raises(BankLineDecidedError, match="was decided before: matched"):
        bank_lines.pay(waiting_line.pk, clerk, invoice=invoice)
    with pytest.raises(BankLineDecidedError):
        bank_lines.ignore(waiting_line.pk, "too late")
    assert Payment.objects.count() == 1


def test_a_person_assigns_a_customer_or_ignores(clerk: Any) -> None:
    customer = make_customer()
    first, second = bring(clerk, "B1,2026-03-01,5.00,EUR,a,?", "B2,2026-03-01,6.00,EUR,b,?").lines.order_by("line")

    bank_lines.pay(first.pk, clerk, customer=customer)
    bank_lines.ignore(second.pk, "Interest of the bank's")

    second.refresh_from_db()
    assert [(each.customer, each.invoice, each.amount) for each in Payment.objects.all()] == [
        (customer, None, Decimal("5.00"))
    ]
    assert (second.state, second.why) == ("ignored", "Interest of the bank's")


def test_an_invoice_that_takes_no_payment_leaves_the_line_waiting(waiting_line: BankLine, clerk: Any) -> None:
    void = make_invoice(state=Invoice.State.VOID)

    with pytest.raises(PaymentRefusedError):
        bank_lines.pay(waiting_line.pk, clerk, invoice=void)

    waiting_line.refresh_from_db()
    assert waiting_line.state == "waiting"
    assert payments.Payment.objects.count() == 0
