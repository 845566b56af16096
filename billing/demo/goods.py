"""What the demo's company sells: records, and what goes with them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from random import Random

from billing.models import Charge, Customer

CENTS = Decimal("0.01")
#: Each with the price of one.
GOODS = (
    ("LP “Nordwind”, 180 g", Decimal("18.90")),
    ("LP “Ebbe und Flut”, limited", Decimal("24.50")),
    ("CD “Hafenlichter”", Decimal("11.77")),
    ("CD box “Kammermusik 1950–1965”", Decimal("49.00")),
    ("Cassette “Demo 1984”", Decimal("7.35")),
    ("Test pressing, 7 inch", Decimal("31.20")),
    ("Mastering, per hour", Decimal("96.00")),
    ("Sleeves, 100 pieces", Decimal("38.40")),
    ("Turntable belt", Decimal("9.99")),
    ("Shipping, insured", Decimal("6.49")),
)


def make_charge(customer: Customer, day: date, random: Random) -> Charge:
    """Make one charge of a day in memory."""
    description, price = random.choice(GOODS)
    quantity = random.choice((1, 1, 1, 2, 2, 3, 5, 10))
    return Charge(
        customer=customer,
        day=day,
        entered_on=day,
        quantity=quantity,
        amount=(price * quantity).quantize(CENTS),
        currency=customer.currency,
        description=description,
    )
