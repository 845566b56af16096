"""A small trade as tests of invoicing need it: customers with charges, people with rights, runs that are confirmed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from billing.models import Charge, Customer, InvoiceRun
from billing.services import invoice_runs, part_billing, planning

START, END, CUT_OFF = date(2026, 3, 1), date(2026, 3, 31), date(2026, 4, 2)


def make_customer(**fields: Any) -> Customer:
    """Store a customer who is billed in EUR."""
    number = f"K{Customer.objects.count() + 1:05}"
    return Customer.objects.create(**{"number": number, "name": f"Name {number}", "currency": "EUR", **fields})


def make_charge(customer: Customer, amount: str = "10.00", **fields: Any) -> Charge:
    """Store a charge of March 2026, entered in time."""
    values = {"day": date(2026, 3, 10), "quantity": 1, "currency": customer.currency, "entered_on": END}
    return Charge.objects.create(customer=customer, amount=Decimal(amount), **{**values, **fields})


def make_customers(count: int, charges: int = 2) -> None:
    """Store customers with so many charges of 10.00 EUR each."""
    known = Customer.objects.count()
    customers = Customer.objects.bulk_create(
        Customer(number=f"K{known + number:05}", currency="EUR") for number in range(1, count + 1)
    )
    Charge.objects.bulk_create(
        Charge(
            customer=customer,
            day=date(2026, 3, 1 + number),
            quantity=1,
            amount=Decimal("10.00"),
            currency="EUR",
            entered_on=END,
        )
        for customer in customers
        for number in range(charges)
    )


def make_user(name: str, *rights: str) -> Any:
    """Store a user with these rights, such as "add_invoicerun"."""
    user = get_user_model().objects.create_user(name, password=name)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


def confirmed_run(user: Any, start: date = START, end: date = END, cut_off: date = CUT_OFF) -> InvoiceRun:
    """Plan a run and confirm it as it is."""
    run = invoice_runs.plan(start, end, cut_off, user)
    assert invoice_runs.confirm(run.pk, user, planning.digest(run.plan))
    run.refresh_from_db()
    return run


def bill(run: InvoiceRun) -> InvoiceRun:
    """Do all parts of a run here, as its tasks would."""
    for part in invoice_runs.make_parts(run.pk):
        part_billing.bill_part(part.pk)
    return invoice_runs.settle(run.pk)
