"""The kinds of files that can be imported: how each is recognised by its header and how a line becomes a purchase."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from billing.exceptions import BadLineError
from billing.purchases import Purchase, purchase_of
from billing.reasons import Reason

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

BOM = b"\xef\xbb\xbf"
# A tab may separate columns; the others break lines in some programs, or come from a wrong encoding.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def _split_csv(text: str) -> list[str]:
    """One line is one record: a quote left open must not swallow the charges below it."""
    try:
        return [cell.strip() for cell in next(csv.reader([text], strict=True), [])]
    except csv.Error as error:
        raise BadLineError(Reason.QUOTES) from error


@dataclass(frozen=True, kw_only=True)
class Format:
    """One kind of file; its columns are customer, date, quantity, amount and perhaps description, in this order."""

    name: str
    label: StrPromise
    columns: tuple[str, ...]
    currency: str
    split: Callable[[str], list[str]]

    def has_header(self, line: bytes) -> bool:
        """Whether a file whose first line this is has this format."""
        try:
            return [cell.casefold() for cell in self.split(_text(line.removeprefix(BOM)))] == list(self.columns)
        except BadLineError:
            return False

    def parse(self, line: bytes) -> Purchase:
        """Make a purchase of a line without its end, or raise BadLineError."""
        cells = self.split(_text(line))
        if len(cells) != len(self.columns):
            raise BadLineError(Reason.COLUMNS)
        return purchase_of(cells)


def _text(line: bytes) -> str:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise BadLineError(Reason.ENCODING) from error
    if CONTROL.search(text):
        raise BadLineError(Reason.CONTROL)
    return text


CDNOW = Format(
    name="cdnow",
    label=_("CDNOW: columns separated by spaces"),
    columns=("customer_id", "date", "number_of_cds", "dollar_value"),
    currency="USD",
    split=str.split,
)
CSV = Format(
    name="csv",
    label=_("CSV with a header"),
    columns=("customer_id", "date", "quantity", "amount", "description"),
    currency="USD",
    split=_split_csv,
)
FORMATS = {known.name: known for known in (CDNOW, CSV)}
