"""Invoice runs in real processes, killed with SIGKILL or run beside each other: each charge is billed, and once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models import Count, Sum

from billing.models import Charge, Invoice, InvoiceLine
from billing.services import invoice_runs
from billing.services.charges import unbilled
from tests.billing.trade import bill, confirmed_run, make_customers
from tests.harness.databases import Databases
from tests.harness.need import ROOT
from tests.harness.stack import Stack, environment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("tax_rates")]

Start = Callable[[str], "subprocess.Popen[str]"]
LONG_S = 90

BILL = """
from billing.services import invoice_runs, part_billing
part_billing.BATCH_CUSTOMERS = 5
for part in invoice_runs.make_parts({run}):
    part_billing.bill_part(part.pk)
print(invoice_runs.settle({run}).state, flush=True)
"""

# Says "inside" when the invoices of the third batch are written and not yet committed, and waits to be killed.
STOP_INSIDE_THE_THIRD_BATCH = """
import time
from billing.services import part_billing
real, calls = part_billing._write, []
def stop(*args):
    real(*args)
    calls.append(args)
    if len(calls) == 3:
        print("inside", flush=True)
        time.sleep(60)
part_billing._write = stop
"""


def assert_each_charge_billed_once() -> None:
    lines = InvoiceLine.objects.filter(released=False)
    assert not unbilled().exists()
    assert lines.count() == Charge.objects.count()
    assert lines.aggregate(total=Sum("net")) == Charge.objects.aggregate(total=Sum("amount"))
    assert Invoice.objects.aggregate(total=Sum("net"))["total"] == lines.aggregate(total=Sum("net"))["total"]
    numbers = sorted(Invoice.objects.values_list("number", flat=True))
    year = Invoice.objects.values_list("issued_on__year", flat=True)[0]
    assert numbers == [f"{year}-{number:05}" for number in range(1, len(numbers) + 1)]


def test_killed_between_writing_and_committing_nothing_is_lost_doubled_or_numbered_with_a_hole(
    manager: Any, start_process: Start
) -> None:
    make_customers(30)
    run = confirmed_run(manager)
    process = start_process(STOP_INSIDE_THE_THIRD_BATCH + BILL.format(run=run.pk))
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"

    process.kill()
    process.wait(timeout=20)

    assert Invoice.objects.count() == 10
    assert bill(run).state == "succeeded"
    assert_each_charge_billed_once()


def test_one_run_done_by_two_workers_at_once_bills_each_charge_once(manager: Any, start_process: Start) -> None:
    make_customers(150)
    run = confirmed_run(manager)
    invoice_runs.make_parts(run.pk)

    workers = [start_process(BILL.format(run=run.pk)) for _ in range(2)]

    assert [worker.communicate(timeout=LONG_S)[0] for worker in workers] == ["succeeded\n", "succeeded\n"]
    assert_each_charge_billed_once()
    assert not run.failures.exists()


def test_two_runs_of_one_period_at_once_bill_each_charge_once(manager: Any, start_process: Start) -> None:
    make_customers(150)
    runs = [confirmed_run(manager), confirmed_run(manager)]

    workers = [start_process(BILL.format(run=run.pk)) for run in runs]

    assert [worker.communicate(timeout=LONG_S)[0] for worker in workers] == ["succeeded\n", "succeeded\n"]
    assert_each_charge_billed_once()
    assert Invoice.objects.values("customer").annotate(count=Count("pk")).filter(count__gt=1).count() == 0


# A whole worker is killed


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A worker of its own, which gets back after three seconds what it had when it was killed."""
    databases = Databases(tmp_path_factory.mktemp("databases"), environment())
    stack = Stack(tmp_path_factory.mktemp("stack"), databases.fresh(), visibility_s=3)
    yield stack
    stack.close()
    databases.close()


SET_UP = """
from django.db import transaction
from billing.tasks.invoice_runs import queue_run
from tests.billing import trade
trade.make_customers(1_500, charges=1)
run = trade.confirmed_run(trade.make_user("manager"))
with transaction.atomic():
    queue_run(run)
"""
WAIT_FOR_SOME = """
from billing.models import Invoice
from tests.harness.wait import until
until(lambda: Invoice.objects.count() >= 100, "some invoices", 60)
print("some", flush=True)
input()
"""
WAIT_FOR_THE_END = """
until(lambda: InvoiceRun.objects.get().state != "running", "the end", 60)
"""
COUNT = """
from django.db.models import Sum
from billing.models import Invoice, InvoiceLine, InvoiceRun
numbers = sorted(int(number[5:]) for number in Invoice.objects.values_list("number", flat=True))
print(
    InvoiceRun.objects.get().state,
    len(numbers),
    InvoiceLine.objects.count(),
    InvoiceLine.objects.aggregate(total=Sum("net"))["total"],
    numbers == list(range(1, len(numbers) + 1)),
    flush=True,
)
"""


def begin_in(stack: Stack, statements: str) -> subprocess.Popen[str]:
    """Start statements in a process of the stack."""
    code = [sys.executable, "-c", f"import django; django.setup()\n{statements}"]
    return subprocess.Popen(
        code, cwd=ROOT, env=stack.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def test_a_worker_killed_in_the_middle_leaves_the_rest_to_the_next_one(stack: Stack) -> None:
    stack.start("worker")
    with begin_in(stack, SET_UP + WAIT_FOR_SOME + COUNT + WAIT_FOR_THE_END + COUNT) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "some\n", stack.tails()

        stack.kill("worker")
        process.stdin.write("count\n")

        state, invoices, *_ = process.stdout.readline().split()
        assert state == "running"
        assert 100 <= int(invoices) < 1_500
        stack.start("worker")
        assert process.communicate(timeout=LONG_S)[0].split() == ["succeeded", "1500", "1500", "15000.00", "True"]
