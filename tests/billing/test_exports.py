"""The ledger as a file: exact, harmless to a spreadsheet, in bounded memory, whole or not there at all."""

from __future__ import annotations

import csv
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.utils import timezone

from billing import ledger_files
from billing.models import Invoice, LedgerExport, Payment
from billing.money import Money
from billing.services import exports, ledger, payments
from billing.services.ledger import Row
from billing.tasks.exports import export_ledger
from tests.billing.invoices import make_customer, make_invoice

FEBRUARY = (date(2026, 2, 1), date(2026, 2, 28))
HOSTILE = ["=1+1", "+49 40", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"]
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    """A storage that holds this test's files only."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


def order(user: Any, kind: str = "csv", period: tuple[date, date] = FEBRUARY) -> LedgerExport:
    return LedgerExport.objects.create(format=kind, period_start=period[0], period_end=period[1], asked_by=user)


def read_csv(record: LedgerExport) -> list[list[str]]:
    with open(record.file.path, encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def read_sheets(path: str | Path) -> list[list[list[tuple[str, str]]]]:
    """Each sheet's rows of cells, a cell as its type ("n" or "inlineStr" or "s") and its text."""
    with zipfile.ZipFile(path) as book:
        shared = (
            ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
            if "xl/sharedStrings.xml" in book.namelist()
            else []
        )
        texts = ["".join(item.itertext()) for item in shared]
        names = sorted(name for name in book.namelist() if name.startswith("xl/worksheets/sheet"))
        return [
            [_row(row, texts) for row in ElementTree.fromstring(book.read(name)).iter(f"{SHEET}row")] for name in names
        ]


def _row(row: Any, texts: list[str]) -> list[tuple[str, str]]:
    cells = []
    for cell in row:
        kind, text = cell.get("t", "n"), "".join(cell.itertext())
        cells.append((kind, texts[int(text)] if kind == "s" else text))
    return cells


@pytest.fixture
def february(db: None) -> Invoice:
    """An invoice, its payment, a credit note and a credit of February, and others outside."""
    customer = make_customer(number="00007", name='Jörg, "J" Groß')
    invoice = make_invoice(customer=customer, issued_on=date(2026, 2, 1))
    make_invoice(
        customer=customer,
        kind=Invoice.Kind.CREDIT_NOTE,
        number="C2026-00001",
        net=Decimal("-10.00"),
        issued_on=date(2026, 2, 28),
    )
    make_invoice(customer=customer, issued_on=date(2026, 1, 31))
    make_invoice(customer=customer, issued_on=date(2026, 3, 1))
    make_invoice(customer=customer, state=Invoice.State.DRAFT, number=None, issued_on=None)
    payments.record(Money(Decimal("240.00"), "EUR"), date(2026, 2, 10), invoice=invoice)
    return invoice


def test_the_ledger_of_a_period_is_its_invoices_credit_notes_and_payments_by_day(clerk: Any, february: Invoice) -> None:
    record = exports.make(order(clerk).pk)

    customer = ["00007", 'Jörg, "J" Groß', "EUR"]
    assert read_csv(record) == [
        ["Date", "Kind", "Number", "Customer number", "Name", "Currency", "Net", "Tax", "Amount"],
        ["2026-02-01", "invoice", february.number, *customer, "200.00", "38.00", "238.00"],
        ["2026-02-10", "payment", february.number, *customer, "", "", "-238.00"],
        ["2026-02-10", "payment", "", *customer, "", "", "-2.00"],
        ["2026-02-28", "credit note", "C2026-00001", *customer, "-20.00", "-3.80", "-23.80"],
    ]
    assert (record.state, record.row_count) == ("succeeded", 4)
    assert timedelta(hours=23) < record.expires_at - timezone.now() <= timedelta(hours=exports.LINK_HOURS)
    assert Path(record.file.path).read_bytes().startswith(b"\xef\xbb\xbf")


def test_the_workbook_says_the_same_with_numbers_as_numbers(clerk: Any, february: Invoice) -> None:
    record = exports.make(order(clerk, "xlsx").pk)

    [sheet] = read_sheets(record.file.path)
    assert [text for _, text in sheet[0]][:3] == ["Date", "Kind", "Number"]
    assert [text for _, text in sheet[1]][1:6] == ["invoice", february.number, "00007", 'Jörg, "J" Groß', "EUR"]
    assert [(kind, Decimal(text)) for kind, text in sheet[4][-3:]] == [
        ("n", Decimal("-20")),
        ("n", Decimal("-3.8")),
        ("n", Decimal("-23.8")),
    ]
    assert len(sheet) == 5


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_that_a_spreadsheet_would_run_is_made_harmless(clerk: Any, text: str) -> None:
    make_invoice(customer=make_customer(name=text))

    as_csv = read_csv(exports.make(order(clerk).pk))
    [sheet] = read_sheets(exports.make(order(clerk, "xlsx").pk).file.path)

    assert as_csv[1][4] == f"'{text}"
    assert (sheet[1][4][0] != "n", sheet[1][4][1].startswith("'")) == (True, True)
    assert ledger_files.harmless("a=1") == "a=1"


def test_more_rows_than_a_sheet_holds_go_to_another_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_files, "SHEET_ROWS", 4)
    path = tmp_path / "ledger.xlsx"

    assert ledger_files.write_xlsx(path, many(7)) == 7

    sheets = read_sheets(path)
    assert [len(sheet) for sheet in sheets] == [4, 4, 2]
    assert [row[2][1] for sheet in sheets for row in sheet[1:]] == [f"n{number}" for number in range(7)]
    assert all(sheet[0][0][1] == "Date" for sheet in sheets)


def many(count: int) -> Iterator[Row]:
    for number in range(count):
        amount = Decimal(number).scaleb(-2)
        yield Row(date(2026, 2, 1), "invoice", f"n{number}", "00001", "x" * 50, "EUR", amount, amount, amount)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_ten_times_the_rows_take_no_more_memory(tmp_path: Path, kind: str) -> None:
    def peak_mib(rows: int) -> float:
        tracemalloc.start()
        ledger_files.WRITERS[kind](tmp_path / f"ledger.{kind}", many(rows))
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        return peak

    peak_mib(10)
    small, large = peak_mib(500), peak_mib(5_000)

    assert large < small + 1  # 5,000 rows held in memory are 3 MiB and more


def test_the_database_hands_over_the_rows_in_chunks(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "CHUNK_ROWS", 50)
    customer = make_customer()
    paid = Payment(customer=customer, day=date(2026, 2, 1), amount=Decimal("1.00"), currency="EUR")
    Payment.objects.bulk_create([paid] * 5_000)

    tracemalloc.start()
    count = sum(1 for _ in ledger.rows(*FEBRUARY))
    peak_mib = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()

    assert count == ledger.count(*FEBRUARY) == 5_000
    assert peak_mib < 0.5  # all at once they are 3 MiB


@pytest.mark.parametrize("step", ["write", "store", "tell"])
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_an_export_broken_off_at_any_step_offers_nothing_and_ends_exact_when_it_is_run_again(
    clerk: Any, february: Invoice, monkeypatch: pytest.MonkeyPatch, step: str, kind: str
) -> None:
    record = order(clerk, kind)
    with monkeypatch.context() as broken:
        if step == "write":
            broken.setattr(ledger_files, "harmless", interrupt)
        elif step == "store":
            broken.setattr("django.core.files.storage.FileSystemStorage._save", interrupt)
        else:
            broken.setattr(exports.timezone, "now", interrupt)
        with pytest.raises(InterruptedError):
            exports.make(record.pk)
    record.refresh_from_db()
    assert (record.state, bool(record.file)) == ("running", False)

    done = exports.make(record.pk)
    again = exports.make(record.pk)

    assert (done.state, done.row_count, done.file) == ("succeeded", 4, again.file)
    rows = read_csv(done) if kind == "csv" else read_sheets(done.file.path)[0]
    assert len(rows) == 5


def interrupt(*args: Any, **kwargs: Any) -> Any:
    raise InterruptedError


def test_of_two_workers_on_one_export_one_file_remains(clerk: Any, february: Invoice, media: Path) -> None:
    record = order(clerk)

    exports.make(record.pk, on_row=lambda number: record.state == "waiting" and _other(record))

    record.refresh_from_db()
    files = list((media / "billing/exports").iterdir())
    assert files == [Path(record.file.path)]
    assert len(read_csv(record)) == 5


def _other(record: LedgerExport) -> None:
    record.state = "the other has run"
    exports.make(record.pk)


def test_a_full_disk_is_said_on_the_export(clerk: Any, february: Invoice, monkeypatch: pytest.MonkeyPatch) -> None:
    record = order(clerk)

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("django.core.files.storage.FileSystemStorage._save", full)
    export_ledger.apply((record.pk,))

    record.refresh_from_db()
    assert (record.state, bool(record.file)) == ("failed", False)
    assert "No space left on device" in record.error


def test_the_task_says_how_many_rows_there_are(clerk: Any, february: Invoice) -> None:
    assert export_ledger.apply((order(clerk).pk,)).get() == {"rows": 4}
