"""The files that the imports of the tests read: the real CDNOW file, one of its shape, and small ones."""

from __future__ import annotations

import os
import random
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

import pytest

from tests.harness.need import CDNOW

CSV_HEADER = b"customer_id,date,quantity,amount,description\n"
CDNOW_HEADER = b" customer_id  date number_of_cds  dollar_value\r\n"
CDNOW_LINES = 69_659


class Facts(NamedTuple):
    """What an import of a file must come to."""

    content: bytes
    charges: int
    customers: int
    quantity: int
    amount: Decimal
    free: int
    first_day: date
    last_day: date
    is_real: bool


def cdnow() -> Facts:
    """Return the real CDNOW file with its README's figures; without it one of the same shape, counted as it is made."""
    if CDNOW.exists():
        days = date(1997, 1, 1), date(1998, 6, 30)
        return Facts(CDNOW.read_bytes(), CDNOW_LINES, 23_570, 167_881, Decimal("2500315.63"), 80, *days, is_real=True)
    if os.environ.get("TAT_REQUIRE_ALL") == "1":
        pytest.fail(f"Required (TAT_REQUIRE_ALL=1), and missing: {CDNOW}", pytrace=False)
    return same_shape(CDNOW_LINES)


def same_shape(lines: int) -> Facts:
    """Make a file of the CDNOW file's shape: fixed columns, repeated lines, free purchases, always the same."""
    dice = random.Random(1997)
    rows: list[tuple[int, date, int, Decimal]] = []
    for place in range(lines):
        if place and dice.random() < 0.004:
            rows.append(rows[-1])
            continue
        cents = 0 if dice.random() < 0.001 else dice.randint(1, 128_601)
        day = date(1997, 1, 1) + timedelta(days=dice.randrange(546))
        rows.append((place // 3 + 1, day, dice.randint(1, 99), Decimal(cents) / 100))
    content = CDNOW_HEADER + b"".join(
        f" {customer:05d} {day:%Y%m%d} {quantity:2d} {amount:7.2f}\r\n".encode()
        for customer, day, quantity, amount in rows
    )
    customers, days, quantities, amounts = zip(*rows, strict=True)
    return Facts(
        content,
        lines,
        len(set(customers)),
        sum(quantities),
        sum(amounts, Decimal(0)),
        amounts.count(Decimal(0)),
        min(days),
        max(days),
        is_real=False,
    )
