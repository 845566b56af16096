"""How long an invoice's PDF takes, from the invoice in the database to its bytes: short ones, and 500 lines."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from bench.figures import Figure, Spread, at_most, say, write

TURNS = 5
GOAL_MS = 50.0
LINES = (3, 30, 500)
PROCESS_S = 300.0

#: Prints for each number of lines "lines pages ms", once a turn. The fonts are read before: once for a process.
MEASURE = """
import sys, time
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from billing import pdf
from tests.billing.invoices import make_invoice
turns, *sizes = map(int, sys.argv[1:])
pdf.render(make_invoice(lines=1))
for lines in sizes:
    for turn in range(turns):
        invoice = make_invoice(lines=lines, description=f"Discs {lines} {turn}")
        began = time.perf_counter()
        content = pdf.render(invoice)
        took_ms = (time.perf_counter() - began) * 1000
        print(lines, content.count(b"/Type/Page/"), took_ms)
"""


def run() -> str:
    """Measure each size, and write the section."""
    taken = _measure()
    figures: list[Figure] = []
    for lines in LINES:
        pages = max(count for size, count, _ms in taken if size == lines)
        spread = Spread.of([ms / count for size, count, ms in taken if size == lines])
        what = f"{lines} lines, {pages} page{'s' if pages > 1 else ''}: ms a page"
        figures.append(at_most(what, spread.median, GOAL_MS, spread.show(1), " ms"))
        say(f"{what} {spread.show(1)}")
    about = (
        f"From an issued invoice in the database to the bytes of its PDF/A-3, in one process that has read its fonts; "
        f"each of {TURNS} turns sets another invoice."
    )
    return write("pdf", "PDF", about, figures)


def _measure() -> list[tuple[int, int, float]]:
    with tempfile.TemporaryDirectory(prefix="tat-bench-pdf-") as directory:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tat.settings",
            "DEBUG": "0",
            "SECRET_KEY": "for-the-benchmark-only-" + "x" * 40,
            "TAT_VAR_DIR": directory,
            "DATABASE_URL": f"sqlite:///{directory}/db.sqlite3",
        }
        command = [sys.executable, "-c", MEASURE, str(TURNS), *map(str, LINES)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PROCESS_S, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [(int(lines), int(pages), float(ms)) for lines, pages, ms in rows]
