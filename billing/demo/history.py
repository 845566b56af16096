"""What the demo's company did until today: months of charges, invoice runs and payments, through the real services.

Each step is one short transaction and does nothing when it was done before, so that a demo that was killed goes on,
and others who write meanwhile (SQLite lets one write at a time) wait for a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from billing import roles
from billing.company import today
from billing.demo import aftermath, goods, people
from billing.demo.clock import last_day_of_month, moment, months_before
from billing.models import Charge, Customer, Invoice, InvoiceRun, Payment
from billing.money import CENT, Money
from billing.services import invoice_runs, part_billing, payments, planning

MONTHS = 8
#: How many of a hundred customers buy something in a month, and at most how often.
BUYERS = 0.62
MAX_PURCHASES = 6

UNPAID = (Invoice.State.ISSUED, Invoice.State.OVERDUE)

Say = Callable[[str], object]


def seed(say: Say = lambda text: None) -> bool:
    """Make the company's past as far as it is not there; False means that all of it was."""
    if aftermath.is_done():
        return False
    clerk, manager = make_users()
    customers = make_customers()
    say(f"{len(customers)} customers")
    first_of_this = today().replace(day=1)
    for start in months_before(first_of_this, MONTHS):
        count = bill_month(start, customers, manager)
        say(f"{start:%Y-%m}: {count} invoices")
    if not Charge.objects.filter(customer__in=customers, day__gte=first_of_this).exists():
        add_charges(first_of_this, today(), customers)
    aftermath.make(clerk, manager)
    return True


def make_users() -> tuple[Any, Any]:
    """Make the clerk and the manager, who cannot log in until somebody gives them a password."""
    made = []
    for name in (roles.CLERK, roles.MANAGER):
        users = get_user_model()._default_manager
        user = users.filter(username=name).first() or users.create_user(name, f"{name}@example.com")
        user.groups.add(Group.objects.get(name=name))
        made.append(user)
    return made[0], made[1]


def make_customers() -> list[Customer]:
    """Make the customers that are missing, and return them all."""
    wanted = people.make_customers(timezone.now())
    Customer.objects.bulk_create(wanted, ignore_conflicts=True)
    return list(Customer.objects.filter(number__in=people.numbers()).order_by("number"))


def bill_month(start: date, customers: list[Customer], manager: Any) -> int:
    """Let a month happen: its charges, its invoice run, and what was paid of it; return how many invoices it has."""
    end = last_day_of_month(start)
    mine = InvoiceRun.objects.filter(period_start=start, period_end=end, created_by=manager)
    run = mine.first() or begin_month(start, end, customers, manager)
    for part in invoice_runs.make_parts(run.pk):
        part_billing.bill_part(part.pk)
    # No run of Celery made these parts, so there is none to look at.
    run.parts.update(run_id="")
    run.invoices.update(created_at=run.confirmed_at)
    invoices = list(run.invoices.order_by("pk"))
    pay(invoices, Random(f"{people.SEED} {start}"))
    return len(invoices)


@transaction.atomic
def begin_month(start: date, end: date, customers: list[Customer], manager: Any) -> InvoiceRun:
    """Add a month's charges, and confirm their invoice run on the day after it."""
    add_charges(start, end, customers)
    run = invoice_runs.plan(start, end, end, manager)
    invoice_runs.confirm(run.pk, manager, planning.digest(run.plan))
    run.refresh_from_db()
    run.issued_on = end + timedelta(days=1)
    run.created_at = run.confirmed_at = run.started_at = moment(run.issued_on)
    run.save()
    return run


def add_charges(start: date, end: date, customers: list[Customer]) -> None:
    """Add what customers bought from one day to another."""
    random = Random(f"{people.SEED} charges {start}")
    days = (end - start).days + 1
    Charge.objects.bulk_create(
        goods.make_charge(customer, start + timedelta(days=random.randrange(days)), random)
        for customer in customers
        if random.random() < BUYERS
        for _ in range(random.randint(1, MAX_PURCHASES))
    )


def pay(invoices: list[Invoice], random: Random) -> None:
    """Pay what was paid until today: most in time, some late, some in part, some never."""
    for invoice in invoices:
        habit = random.random()
        if habit < 0.04:
            continue
        assert invoice.issued_on is not None
        day = invoice.issued_on + timedelta(days=random.randint(3, 28) if habit < 0.85 else random.randint(35, 75))
        amount = invoice.total
        if habit < 0.07:
            amount = Money((amount.amount / 2).quantize(CENT), amount.currency)
        if day <= today() and amount and not invoice.paid and invoice.state in UNPAID:
            _pay(invoice, amount, day)


@transaction.atomic
def _pay(invoice: Invoice, amount: Money, day: date) -> None:
    paid = payments.record(amount, day, invoice=invoice, reference=f"Invoice {invoice.number}")
    Payment.objects.filter(pk=paid.pk).update(entered_at=moment(day))
