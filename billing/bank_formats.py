"""A bank's account statement as CSV: how it is recognised, and how a line becomes a booking."""

from __future__ import annotations

import csv
import hashlib
import re
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing.bank_reasons import BankReason
from billing.exceptions import BadBankLineError
from billing.formats import BOM, CONTROL
from billing.lines import Line
from billing.money import CURRENCIES
from billing.purchases import FIRST_DAY, LAST_DAY

COLUMNS = ("booking_id", "date", "amount", "currency", "payer", "reference")
DELIMITERS = (",", ";")
MAX_AMOUNT = Decimal("10000000.00")
MAX_BOOKING_ID_CHARS = 64

# ASCII digits only: \d also takes the digits of every other script.
ISO_DAY = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")
GERMAN_DAY = re.compile(r"(?P<day>[0-9]{1,2})\.(?P<month>[0-9]{1,2})\.(?P<year>[0-9]{4})")
# Thousands are told from decimals: 1.234 alone could be either, and is refused.
POINT_AMOUNT = re.compile(r"[+-]?([0-9]{1,15}|[0-9]{1,3}(,[0-9]{3}){1,4}(?=\.))(\.[0-9]{1,2})?")
COMMA_AMOUNT = re.compile(r"[+-]?([0-9]{1,15}|[0-9]{1,3}(\.[0-9]{3}){1,4}),[0-9]{1,2}")


class Booking(NamedTuple):
    """What one good line says; a negative amount went out."""

    booking_id: str
    day: date
    amount: Decimal
    currency: str
    payer: str
    reference: str

    def content_key(self, occurrence: int) -> str:
        """What identifies a booking without an id of the bank's: all it says, and which of its equals it is."""
        said = [str(self.day), f"{self.amount:.2f}", self.currency, self.payer, self.reference, str(occurrence)]
        return hashlib.sha256("\x1f".join(said).encode()).hexdigest()


def delimiter_of(header: bytes) -> str | None:
    """What separates the columns of a file whose first line this is; None for any other file."""
    for delimiter in DELIMITERS:
        try:
            cells = _split(_text(header.removeprefix(BOM)), delimiter)
        except BadBankLineError:
            continue
        if [cell.casefold() for cell in cells] == list(COLUMNS):
            return delimiter
    return None


def parse(line: Line, delimiter: str) -> Booking:
    """Make a booking of a line, or raise BadBankLineError."""
    if line.is_too_long:
        raise BadBankLineError(BankReason.TOO_LONG)
    cells = _split(_text(line.data), delimiter)
    if len(cells) != len(COLUMNS):
        raise BadBankLineError(BankReason.COLUMNS)
    booking_id, day, amount, currency, payer, reference = cells
    if len(booking_id) > MAX_BOOKING_ID_CHARS:
        raise BadBankLineError(BankReason.BOOKING)
    if currency.upper() not in dict(CURRENCIES):
        raise BadBankLineError(BankReason.CURRENCY)
    return Booking(booking_id, _day(day), _amount(amount), currency.upper(), payer, reference)


def _split(text: str, delimiter: str) -> list[str]:
    """One line is one record: a quote left open must not swallow the bookings below it."""
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter, strict=True), [])]
    except csv.Error as error:
        raise BadBankLineError(BankReason.QUOTES) from error


def _text(data: bytes) -> str:
    """Banks write UTF-8 or Windows-1252, of which Latin-1's letters are a part; what is UTF-8 is hardly ever else."""
    for encoding in ("utf-8", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if CONTROL.search(text):
            raise BadBankLineError(BankReason.CONTROL)
        return text
    raise BadBankLineError(BankReason.ENCODING)


def _day(text: str) -> date:
    match = ISO_DAY.fullmatch(text) or GERMAN_DAY.fullmatch(text)
    if not match:
        raise BadBankLineError(BankReason.DAY)
    try:
        day = date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError as error:
        raise BadBankLineError(BankReason.DAY) from error
    if not FIRST_DAY <= day <= LAST_DAY:
        raise BadBankLineError(BankReason.DAY_RANGE)
    return day


def _amount(text: str) -> Decimal:
    if POINT_AMOUNT.fullmatch(text):
        plain = text.replace(",", "")
    elif COMMA_AMOUNT.fullmatch(text):
        plain = text.replace(".", "").replace(",", ".")
    else:
        raise BadBankLineError(BankReason.AMOUNT)
    amount = Decimal(plain).quantize(Decimal("0.01"))
    if not amount or abs(amount) > MAX_AMOUNT:
        raise BadBankLineError(BankReason.AMOUNT_RANGE)
    return amount
