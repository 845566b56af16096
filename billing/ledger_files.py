"""Writes rows of the ledger as a file, one by one, so that memory is bounded whatever the period holds."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from billing.services.ledger import HEADINGS, Row

#: What one sheet of a workbook holds, its headings included.
SHEET_ROWS = 1_048_576
#: A cell that begins with one of them is a formula to a spreadsheet, also in its full-width form.
ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
COLUMN_CHARS = (12, 14, 16, 16, 32, 10, 14, 14, 14)


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(ACTIVE) else text


def write_csv(path: Path, rows: Iterable[Row]) -> int:
    """Write CSV in UTF-8 with a byte order mark, which Excel needs, and return how many rows it has."""
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(str(heading) for heading in HEADINGS)
        for row in rows:
            writer.writerow(harmless(cell) if isinstance(cell, str) else cell for cell in row)
            count += 1
    return count


def write_xlsx(path: Path, rows: Iterable[Row]) -> int:
    """Write a workbook of as many sheets as the rows need, and return how many rows it has.

    Its temporary files go to the directory of `path`.
    """
    count = 0
    options = {"constant_memory": True, "tmpdir": str(path.parent), "default_date_format": "yyyy-mm-dd"}
    with xlsxwriter.Workbook(str(path), options) as book:
        money = book.add_format({"num_format": "#,##0.00"})
        sheet = _add_sheet(book)
        for count, row in enumerate(rows, start=1):
            place = (count - 1) % (SHEET_ROWS - 1) + 1
            if place == 1 and count > 1:
                sheet = _add_sheet(book)
            for column, cell in enumerate(row):
                _write_cell(sheet, place, column, cell, money)
    return count


WRITERS: dict[str, Callable[[Path, Iterable[Row]], int]] = {"csv": write_csv, "xlsx": write_xlsx}


def _add_sheet(book: Any) -> Worksheet:
    sheet: Worksheet = book.add_worksheet()
    for column, chars in enumerate(COLUMN_CHARS):
        sheet.set_column(column, column, chars)
    sheet.freeze_panes(1, 0)
    bold = book.add_format({"bold": True})
    for column, heading in enumerate(HEADINGS):
        sheet.write_string(0, column, str(heading), bold)
    return sheet


def _write_cell(sheet: Worksheet, row: int, column: int, cell: date | str | Decimal | None, money: Any) -> None:
    if isinstance(cell, str):
        sheet.write_string(row, column, harmless(cell))
    elif isinstance(cell, Decimal):
        sheet.write_number(row, column, cell, money)
    elif cell is not None:
        sheet.write_datetime(row, column, cell)
