"""One purchase, made from the cells of a line; whatever is wrong with a cell is a BadLineError, never another error."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing.exceptions import BadLineError
from billing.reasons import Reason

FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(2099, 12, 31)
MAX_QUANTITY = 1_000_000
MAX_AMOUNT = Decimal("1000000.00")
MAX_DESCRIPTION_CHARS = 255

# ASCII digits only: \d also takes the digits of every other script.
CUSTOMER = re.compile(r"[A-Za-z0-9._/-]{1,32}")
DAY = re.compile(r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})")
WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
MONEY = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,2})?")


class Purchase(NamedTuple):
    """What one good line says."""

    customer: str
    day: date
    quantity: int
    amount: Decimal
    description: str


def purchase_of(cells: list[str]) -> Purchase:
    """Make a purchase of customer, date, quantity, amount and, where the format has it, description."""
    customer, day, quantity, amount = cells[:4]
    if not CUSTOMER.fullmatch(customer):
        raise BadLineError(Reason.CUSTOMER)
    description = cells[4] if len(cells) > 4 else ""
    if len(description) > MAX_DESCRIPTION_CHARS:
        raise BadLineError(Reason.DESCRIPTION)
    return Purchase(customer, _day(day), _quantity(quantity), _amount(amount), description)


def _day(text: str) -> date:
    match = DAY.fullmatch(text)
    if not match:
        raise BadLineError(Reason.DAY)
    try:
        day = date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError as error:
        raise BadLineError(Reason.DAY) from error
    if not FIRST_DAY <= day <= LAST_DAY:
        raise BadLineError(Reason.DAY_RANGE)
    return day


def _quantity(text: str) -> int:
    if not WHOLE.fullmatch(text):
        raise BadLineError(Reason.QUANTITY)
    if not 1 <= (quantity := int(text)) <= MAX_QUANTITY:
        raise BadLineError(Reason.QUANTITY_RANGE)
    return quantity


def _amount(text: str) -> Decimal:
    if not MONEY.fullmatch(text):
        raise BadLineError(Reason.AMOUNT)
    if not 0 <= (amount := Decimal(text)) <= MAX_AMOUNT:
        raise BadLineError(Reason.AMOUNT_RANGE)
    return amount.quantize(Decimal("0.01")).copy_abs()  # -0.00 is 0.00
