"""Real processes that import a bank's file, killed with SIGKILL or run beside each other: each booking counts once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from billing.models import BankImport, BankLine, Invoice, Payment
from billing.services import bank
from tests.billing.bank_files import content, receive
from tests.billing.invoices import make_invoice
from tests.harness.wait import until

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[[str], "subprocess.Popen[str]"]
RUN = "from billing.services import bank\nprint(bank.run_import({pk}) and 'done')"
# Says "inside" when the third line and its payment are written and not yet committed, and waits to be killed.
STOP_INSIDE_THE_THIRD_LINE = """
import time
from billing.services import bank
real, calls = bank._pay, []
def stop(*args):
    real(*args)
    calls.append(args)
    if len(calls) == 3:
        print("inside", flush=True)
        time.sleep(60)
bank._pay = stop
"""


def bookings(invoice: Invoice, count: int, first: int = 0) -> list[str]:
    numbers = range(first, first + count)
    return [f"B{number},2026-03-01,1.00,EUR,Ada,{invoice.number}" for number in numbers]


def assert_exact(invoice: Invoice, payments: int) -> None:
    invoice.refresh_from_db()
    assert (invoice.paid, invoice.payments.count()) == (Decimal(payments), payments)
    assert BankLine.objects.filter(state=BankLine.State.MATCHED).count() == payments


def test_killed_between_writing_and_committing_nothing_is_lost_or_doubled(clerk: Any, start_process: Start) -> None:
    invoice = make_invoice(net=Decimal("1000.00"))
    record = receive(content(*bookings(invoice, 10)), clerk)
    process = start_process(f"{STOP_INSIDE_THE_THIRD_LINE}\nbank.run_import({record.pk})")
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"

    process.kill()
    process.wait(timeout=20)

    assert (record.lines.count(), Payment.objects.count()) == (2, 2)
    bank.run_import(record.pk)
    assert_exact(invoice, 10)


def test_killed_wherever_it_is_it_ends_exact(clerk: Any, start_process: Start) -> None:
    invoice = make_invoice(net=Decimal("1000.00"))
    record = receive(content(*bookings(invoice, 150)), clerk)

    for landed in (1, 40):
        process = start_process(RUN.format(pk=record.pk))
        until(lambda at=landed: record.lines.count() >= at, f"{landed} lines to land", seconds=60)  # type: ignore[misc]
        process.kill()
        process.wait(timeout=20)
    assert BankImport.objects.get().state == "running"

    bank.run_import(record.pk)
    assert_exact(invoice, 150)


def test_two_workers_on_one_file_count_each_booking_once(clerk: Any, start_process: Start) -> None:
    invoice = make_invoice(net=Decimal("1000.00"))
    record = receive(content(*bookings(invoice, 60)), clerk)

    workers = [start_process(RUN.format(pk=record.pk)) for _ in range(2)]

    assert [worker.communicate(timeout=60)[0] for worker in workers] == ["done\n", "done\n"]
    assert_exact(invoice, 60)


def test_two_files_at_once_that_share_bookings_count_each_once(clerk: Any, start_process: Start) -> None:
    invoice = make_invoice(net=Decimal("1000.00"))
    upwards = receive(content(*bookings(invoice, 60)), clerk)
    downwards = receive(content(*bookings(invoice, 60, first=30)[::-1]), clerk)

    workers = [start_process(RUN.format(pk=record.pk)) for record in (upwards, downwards)]

    assert [worker.communicate(timeout=60)[0] for worker in workers] == ["done\n", "done\n"]
    assert_exact(invoice, 90)
    assert BankLine.objects.filter(state=BankLine.State.IGNORED).count() == 30
