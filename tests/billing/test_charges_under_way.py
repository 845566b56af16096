"""A charge that is still being written when an invoice run is confirmed: the run bills what was confirmed, not more.

Only on a server do two write at once, and an id that was given early be committed late; so the PostgreSQL is our own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.harness import need
from tests.harness.databases import Databases
from tests.harness.need import ROOT
from tests.harness.stack import environment
from tests.harness.wait import until

DONE_S = 60

# Makes a customer and a user; then takes an id for a charge, and commits that when it is told to.
WRITE_A_CHARGE = """
trade.make_customer(number="K1")
trade.make_user("manager")
with transaction.atomic():
    trade.make_charge(Customer.objects.get(), "10.00")
    print("written", flush=True)
    input()
"""
PLAN_AND_CONFIRM = """
user = get_user_model().objects.get()
trade.make_charge(Customer.objects.get(), "20.00")
run = invoice_runs.plan(trade.START, trade.END, trade.CUT_OFF, user)
print(run.plan["charges"], flush=True)
print(invoice_runs.confirm(run.pk, user, planning.digest(run.plan)), flush=True)
"""
BILL = """
run = InvoiceRun.objects.get()
begins = run.state == "running" or invoice_runs.confirm(run.pk, run.created_by, planning.digest(run.plan))
run.refresh_from_db()
print(begins, trade.bill(run).plan["totals"], [str(invoice.net) for invoice in run.invoices.all()])
"""
REFUSED = """
user = get_user_model().objects.get()
run = invoice_runs.plan(trade.START, trade.END, trade.CUT_OFF, user)
try:
    invoice_runs.confirm(run.pk, user, planning.digest(run.plan))
except RunNotConfirmableError as error:
    print(f"{InvoiceRun.objects.get().state}: {error}")
"""
IMPORTS = """
import django
django.setup()
from django.contrib.auth import get_user_model
from django.db import transaction
from billing.exceptions import RunNotConfirmableError
from billing.models import Customer, InvoiceRun
from billing.services import invoice_runs, planning
from tests.billing import trade
"""

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """A PostgreSQL of its own."""
    server = need.own_postgres()
    try:
        yield Databases(tmp_path_factory.mktemp("databases"), environment(), server.url)
    finally:
        server.stop()


@pytest.fixture
def database(databases: Databases) -> str:
    """The address of a database."""
    return databases.fresh()


@pytest.fixture
def start(database: str) -> Iterator[Start]:
    """Start statements in a process of their own on that database."""
    started: list[subprocess.Popen[str]] = []

    def begin(statements: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", IMPORTS + statements],
            cwd=ROOT,
            env=environment(DATABASE_URL=database),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate(timeout=20)


def test_what_was_not_committed_when_the_plan_was_seen_is_not_billed_unseen(database: str, start: Start) -> None:
    writer = start(WRITE_A_CHARGE)
    assert writer.stdout is not None and writer.stdout.readline() == "written\n"

    confirmer = start(PLAN_AND_CONFIRM)
    assert confirmer.stdout is not None and confirmer.stdout.readline() == "1\n"
    with psycopg.connect(database, autocommit=True) as connection:
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
        until(lambda: confirmer.poll() is not None or connection.execute(waiting).fetchall(), "the confirmation")
    writer.communicate("\n", timeout=DONE_S)

    begins, _ = confirmer.communicate(timeout=DONE_S)
    assert start(BILL).communicate(timeout=DONE_S)[0] == "True {'EUR': '30.00'} ['30.00']\n"
    assert begins == "False\n"


def test_a_confirmation_does_not_wait_for_ever_for_charges_that_are_written(database: str, start: Start) -> None:
    writer = start(WRITE_A_CHARGE)
    assert writer.stdout is not None and writer.stdout.readline() == "written\n"

    said, _ = start(f"invoice_runs.MAX_LOCK_WAIT_S = 1\n{REFUSED}").communicate(timeout=DONE_S)
    writer.communicate("\n", timeout=DONE_S)

    assert said == "planned: Charges are being written. Confirm again in a moment.\n"
