"""The pages of a bank's files, and of the lines that wait for a person."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from billing.models import BankImport, BankLine, Invoice, Payment
from billing.services import bank
from tests.billing.bank_files import bring, content, receive
from tests.billing.invoices import make_customer, make_invoice

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/billing/bank-imports/"


@pytest.fixture
def page(clerk: Any, client: Client, redis: Any) -> Client:
    """The clerk's browser."""
    client.force_login(clerk)
    return client


def upload(page: Client, data: bytes, name: str = "march.csv") -> Any:
    return page.post(LIST, {"file": SimpleUploadedFile(name, data)}, follow=True)


def test_an_upload_leads_to_its_page_which_shows_the_run_at_once(page: Client, redis: Any) -> None:
    answer = upload(page, content("B1,2026-03-01,5.00,EUR,Ada,?"))

    record = BankImport.objects.get()
    assert answer.redirect_chain == [(record.get_absolute_url(), 302)]
    assert record.run_id in answer.text
    assert "<live-run" in answer.text
    assert "Start again" not in answer.text
    assert redis.llen("tat:broker:celery") == 1


def test_at_the_end_the_page_says_what_became_of_each_line_as_text(page: Client, clerk: Any) -> None:
    invoice = make_invoice()
    record = bring(
        clerk,
        f"B1,2026-03-01,5.00,EUR,Ada,{invoice.number}",
        "B2,2026-03-01,1234.50,EUR,<b>Nobody</b>,?",
        "B3,2026-02-30,5.00,EUR,Ada,?",
        "B4,2026-03-01,-5.00,EUR,Bank,fee",
    )

    text = page.get(record.get_absolute_url()).text
    waiting = page.get(record.get_absolute_url(), {"state": "waiting"}).text

    assert invoice.get_absolute_url() in text
    assert "1,234.50 EUR" in text
    assert "&lt;b&gt;Nobody" in text
    assert "<b>Nobody" not in text
    assert "must be a day that exists" in text
    assert "Money went out by it." in text
    assert ("&lt;b&gt;Nobody" in waiting, "Money went out" in waiting) == (True, False)
    assert "billing/import.js" not in text
    assert "march.csv" in page.get(LIST).text


def test_the_very_same_file_again_leads_to_the_import_that_is_there(page: Client) -> None:
    data = content("B1,2026-03-01,5.00,EUR,Ada,?")
    upload(page, data)

    answer = upload(page, data, "other name.csv")

    assert answer.redirect_chain == [(BankImport.objects.get().get_absolute_url(), 302)]
    assert "no payment is counted twice" in answer.text


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The submitted file is empty."),
        (content("B1,2026-03-01,5.00,EUR,Ada,?", encoding="utf-16"), "The file is UTF-16 text"),
        (b"PK\x03\x04\0\0", "The file is not text."),
        (b"<script>alert(1)</script>\n1", "It reads: &lt;script&gt;"),
        (content(), "a header and no bookings"),
    ],
)
def test_a_file_that_is_no_account_statement_is_refused_on_the_page_and_not_kept(
    page: Client, data: bytes, sentence: str
) -> None:
    answer = upload(page, data)

    assert answer.status_code == 422
    assert sentence in answer.text
    assert not BankImport.objects.exists()


def test_a_file_above_the_limit_is_refused(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank, "MAX_FILE_MIB", 1)

    answer = upload(page, content("x" * 2_500_000))

    assert (answer.status_code, "and 1 are allowed" in answer.text) == (422, True)


def test_a_full_disk_is_a_sentence_on_the_page(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("django.core.files.storage.FileSystemStorage._save", full)

    answer = upload(page, content("B1,2026-03-01,5.00,EUR,Ada,?"))

    assert (answer.status_code, "No space left on device" in answer.text) == (422, True)
    assert not BankImport.objects.exists()


def test_an_import_that_stopped_is_started_again_by_hand(page: Client, clerk: Any, redis: Any) -> None:
    record = receive(content("B1,2026-03-01,5.00,EUR,Ada,?"), clerk)
    bank.note_failure(record.pk, OSError("gone"))
    assert "It stopped: OSError: gone" in page.get(record.get_absolute_url()).text

    answer = page.post(record.get_absolute_url(), follow=True)

    record.refresh_from_db()
    assert (record.state, record.error, bool(record.run_id)) == ("waiting", "", True)
    assert "Start again" not in answer.text
    page.post(record.get_absolute_url())
    assert redis.llen("tat:broker:celery") == 1


@pytest.fixture
def line(clerk: Any) -> BankLine:
    """A line over 238.00 EUR that waits."""
    return bring(clerk, "B1,2026-03-01,238.00,EUR,Nobody,?").lines.get()


def decide(page: Client, line: BankLine, decision: str, **values: str) -> Any:
    return page.post(line.get_absolute_url(), {"decision": decision, **values}, follow=True)


def test_a_waiting_line_lists_candidates_and_takes_one(page: Client, line: BankLine) -> None:
    fitting = make_invoice()
    other = make_invoice(customer=make_customer(name="Another"), net=Decimal("3.00"))
    text = page.get(line.get_absolute_url()).text
    assert (fitting.number in text, other.number in text) == (True, False)

    answer = decide(page, line, "invoice", invoice=str(fitting.number))

    assert answer.redirect_chain == [(line.source.get_absolute_url(), 302)]
    fitting.refresh_from_db()
    assert (fitting.state, Payment.objects.get().bank_line) == (Invoice.State.PAID, line)
    assert fitting.get_absolute_url() in page.get(line.get_absolute_url()).text


def test_a_waiting_line_becomes_a_customer_s_credit(page: Client, line: BankLine) -> None:
    customer = make_customer(name="Grace")

    decide(page, line, "customer", customer=customer.number)

    assert (Payment.objects.get().customer, Payment.objects.get().invoice) == (customer, None)


def test_a_waiting_line_is_ignored_with_a_reason_and_never_without(page: Client, line: BankLine) -> None:
    assert decide(page, line, "ignore", reason="").status_code == 422

    answer = decide(page, line, "ignore", reason="Interest <i>")

    line.refresh_from_db()
    assert (line.state, line.reason) == ("ignored", "Interest <i>")
    assert "Interest &lt;i&gt;" in answer.text


@pytest.mark.parametrize(
    ("decision", "values", "sentence"),
    [
        ("invoice", {"invoice": "2026-99999"}, "There is no invoice with the number 2026-99999."),
        ("customer", {"customer": "nobody"}, "There is no customer with the number nobody."),
        ("invoice", {"invoice": ""}, "This field is required."),
        ("nonsense", {}, "What it may pay"),
    ],
)
def test_a_decision_that_names_nothing_is_said_and_leaves_the_line_waiting(
    page: Client, line: BankLine, decision: str, values: dict[str, str], sentence: str
) -> None:
    assert sentence in decide(page, line, decision, **values).text

    line.refresh_from_db()
    assert line.state == "waiting"


def test_an_invoice_that_takes_no_payment_is_said_and_leaves_the_line_waiting(page: Client, line: BankLine) -> None:
    void = make_invoice(state=Invoice.State.VOID)

    answer = decide(page, line, "invoice", invoice=str(void.number))

    assert "takes no payment" in answer.text
    assert not Payment.objects.exists()


def test_two_persons_decide_once(page: Client, line: BankLine) -> None:
    decide(page, line, "ignore", reason="mine")

    answer = decide(page, line, "customer", customer=make_customer().number)

    assert "was decided before: ignored. mine" in answer.text
    assert not Payment.objects.exists()


@pytest.mark.parametrize(
    ("address", "right"),
    [("bank_imports", "billing.add_bankimport"), ("bank_line", "billing.change_bankline")],
)
def test_an_auditor_reads_and_is_told_which_right_is_missing_to_write(
    client: Client, auditor: Any, line: BankLine, address: str, right: str
) -> None:
    client.force_login(auditor)
    url = line.get_absolute_url() if address == "bank_line" else LIST

    assert client.get(url).status_code == 200
    answer = client.post(url, {"decision": "ignore", "reason": "x"})

    assert (answer.status_code, right in answer.text) == (403, True)
    line.refresh_from_db()
    assert line.state == "waiting"


@pytest.mark.parametrize("many", [False, True])
def test_the_pages_ask_the_database_as_often_for_many_lines_as_for_one(
    page: Client, clerk: Any, many: bool, django_assert_max_num_queries: Any
) -> None:
    invoice = make_invoice(net=Decimal("1000.00"))
    record = bring(
        clerk, *[f"B{number},2026-03-01,5.00,EUR,Ada,{invoice.number}" for number in range(20 if many else 1)]
    )

    with django_assert_max_num_queries(8):
        assert page.get(record.get_absolute_url()).text.count(invoice.get_absolute_url()) == (20 if many else 1)
    with django_assert_max_num_queries(6):
        page.get(reverse("billing:bank_imports"))
