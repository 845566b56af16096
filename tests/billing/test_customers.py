"""Finding customers, and what their page gathers."""

from __future__ import annotations

from typing import Any

import pytest

from billing.models import Customer
from billing.services import customers
from tests.billing import trade

pytestmark = pytest.mark.django_db


def numbers(text: str, order: str = "number") -> list[str]:
    return list(customers.found(text, order).values_list("number", flat=True))


@pytest.fixture
def people() -> None:
    """Four customers, with letters beyond ASCII and with what LIKE takes for wildcards."""
    for number, name, email in (
        ("A-1", "Müller & Söhne", "Info@Mueller.example"),
        ("a-2", "ÖZDEMİR Handel", "ozdemir@example.com"),
        ("B_3", "100 % Vinyl", ""),
        ("C/4", "Émile O'Connor", "emile@example.com"),
    ):
        Customer.objects.create(number=number, name=name, email=email)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["A-1", "B_3", "C/4", "a-2"]),
        ("müller", ["A-1"]),
        ("MÜLLER", ["A-1"]),
        ("söhne", ["A-1"]),
        ("özdem", ["a-2"]),
        ("émile", ["C/4"]),
        ("MUELLER.EXAMPLE", ["A-1"]),
        ("a-", ["A-1", "a-2"]),
        ("%", ["B_3"]),
        ("_", ["B_3"]),
        ("o'connor", ["C/4"]),
        ("nobody", []),
    ],
)
def test_a_text_is_found_in_number_name_and_email_in_either_case(people: None, text: str, expected: list[str]) -> None:
    assert sorted(numbers(text)) == expected


def test_customers_come_in_the_order_that_is_asked_for(people: None) -> None:
    assert numbers("", "name") == sorted(
        numbers(""), key=dict(Customer.objects.values_list("number", "name")).__getitem__
    )
    assert numbers("", "newest") == ["C/4", "B_3", "a-2", "A-1"]


def test_an_overview_is_bounded_and_asks_as_often_for_many_as_for_few(django_assert_num_queries: Any) -> None:
    customer = trade.make_customer()

    def gather() -> dict[str, Any]:
        found = customers.overview(customer)
        return {name: list(value) if name != "country" else value for name, value in found.items()}

    for _ in range(customers.NEWEST + 5):
        trade.make_charge(customer)
    # Charges, their lines, invoices, payments, e-mails, and two for the balance.
    with django_assert_num_queries(7):
        found = gather()

    assert len(found["charges"]) == customers.NEWEST
    assert all(charge.billed == [] for charge in found["charges"])
    assert found["country"] == "Germany"


def test_a_suggested_number_is_free() -> None:
    trade.make_customer(number=customers.next_number())

    assert not Customer.objects.filter(number=customers.next_number()).exists()
