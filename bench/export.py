"""Ledger export: a million rows as CSV and as XLSX, in a process of its own each, against a thousandth of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench.figures import Figure, at_most, say, write

ROOT = Path(__file__).resolve().parent.parent
ROWS = 1_000_000
FEW_ROWS = 1_000
#: What a million rows may take more than a thousand, at the peak.
MEMORY_GOAL_MIB = 50
#: Half of a task's soft time limit.
TIME_GOAL_S = 360

FILL = """
import sys
from datetime import date, timedelta
from decimal import Decimal
import django
django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from billing.models import Customer, Invoice, Payment
call_command("migrate", verbosity=0)
get_user_model().objects.create_user("bench")
Customer.objects.bulk_create(Customer(number=f"{n:05}", name=f"Customer {n} =1") for n in range(20_000))
customers = list(Customer.objects.values_list("pk", flat=True))
first, half = date(2026, 1, 1), int(sys.argv[1]) // 2
for start in range(0, half, 10_000):
    numbers = range(start, min(start + 10_000, half))
    amounts = [Decimal(n % 100_000).scaleb(-2) + 1 for n in numbers]
    facts = [(customers[n % 20_000], first + timedelta(days=n % 365), amount) for n, amount in zip(numbers, amounts)]
    Invoice.objects.bulk_create(
        Invoice(customer_id=customer, issued_on=day, number=f"2026-{n:07}", state="issued", currency="EUR",
                net=amount, gross=amount)
        for n, (customer, day, amount) in zip(numbers, facts)
    )
    Payment.objects.bulk_create(
        Payment(customer_id=customer, day=day, currency="EUR", amount=amount) for customer, day, amount in facts
    )
"""
EXPORT = """
import json, resource, sys, time
from datetime import date
import django
django.setup()
from django.contrib.auth import get_user_model
from billing.models import LedgerExport
from billing.services import exports
user = get_user_model().objects.get()
record = LedgerExport.objects.create(
    format=sys.argv[1], period_start=date(2026, 1, 1), period_end=date(2026, 12, 31), asked_by=user)
began_s = time.monotonic()
record = exports.make(record.pk)
took_s = time.monotonic() - began_s
peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([record.row_count, took_s, peak_mib, record.file.size / 2**20]))
"""


class Made(NamedTuple):
    """What one export was and took."""

    rows: int
    took_s: float
    peak_mib: float
    file_mib: float


def measure(rows: int) -> dict[str, Made]:
    """Fill a database of so many rows, and export it in each format."""
    with tempfile.TemporaryDirectory(prefix="tat-bench-") as directory:
        _python(directory, FILL, str(rows))
        say(f"export {rows:,} rows are there")
        found = {}
        for kind in ("csv", "xlsx"):
            found[kind] = made = Made(*json.loads(_python(directory, EXPORT, kind)))
            if made.rows != rows:
                raise RuntimeError(f"Expected {rows} rows in the {kind} file; it has {made.rows}.")
            say(f"export {rows:,} rows as {kind}: {made.took_s:.1f} s, peak {made.peak_mib:.0f} MiB")
        return found


def _python(directory: str, code: str, *arguments: str) -> str:
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tat.settings",
        "DATABASE_URL": f"sqlite:///{directory}/bench.sqlite3",
        "TAT_VAR_DIR": directory,
        "DEBUG": "",
        "SECRET_KEY": "for-the-benchmark-only-" + "x" * 40,
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environ, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def run(rows: int = ROWS) -> str:
    """Measure, write the table and return it."""
    few, all_rows = measure(FEW_ROWS), measure(rows)
    figures = []
    for kind, made in all_rows.items():
        name = kind.upper()
        more_mib = made.peak_mib - few[kind].peak_mib
        shown = f"{more_mib:.0f} MiB ({made.peak_mib:.0f} against {few[kind].peak_mib:.0f})"
        figures += [
            at_most(f"{name}: seconds", made.took_s, TIME_GOAL_S, f"{made.took_s:.0f}", " s"),
            at_most(f"{name}: peak memory above a small export's", more_mib, MEMORY_GOAL_MIB, shown, " MiB"),
            Figure(f"{name}: rows a second", f"{made.rows / made.took_s:,.0f}"),
            Figure(f"{name}: size of the file", f"{made.file_mib:.0f} MiB"),
        ]
    about = (
        f"`billing.services.exports.make` on SQLite: {rows:,} rows, half invoices, half payments, of 20,000 customers, "
        f"against {FEW_ROWS:,}; each in a process of its own, whose peak resident memory is taken at its end."
    )
    return write("export", "Ledger export", about, figures)
