"""Invoice run: the CDNOW file's charges, billed by the project's own worker with two processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import NamedTuple

import psutil

from bench.figures import Figure, Spread, at_least, at_most, say, write
from bench.stage import Stage
from tests.billing import files

TURNS = 3
PROCESSES = 2
IMPORT_LIMIT_S = 60
LIMIT_S = 300
#: A part's worth of rows and nothing that grows with the run, above what an idle child has.
MEMORY_GOAL_MIB = 64
VARIANT = "live"  # the stage's database of Redis

IMPORT = """
import time
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from billing import importing, uploads
from tests.billing import files
user = get_user_model().objects.create_user("bench")
file = SimpleUploadedFile("CDNOW_master.txt", files.cdnow().content)
record = uploads.receive(uploads.inspect(file), user)[0]
began_s = time.monotonic()
importing.run_import(record.pk)
print(time.monotonic() - began_s)
"""
CONFIRM = """
from django.contrib.auth import get_user_model
from django.db import transaction
from billing.company import today
from billing.services import invoice_runs, planning
from billing.tasks.invoice_runs import queue_run
from billing.purchases import FIRST_DAY, LAST_DAY
user = get_user_model().objects.get()
run = invoice_runs.plan(FIRST_DAY, LAST_DAY, today(), user)
with transaction.atomic():
    assert invoice_runs.confirm(run.pk, user, planning.digest(run.plan))
    queue_run(run)
"""
WAIT = """
import json, time
from django.db.models import Sum
from billing.models import Invoice, InvoiceLine, InvoiceRun
from billing.services.charges import unbilled
while InvoiceRun.objects.get().state == "running":
    time.sleep(0.2)
print(json.dumps({
    "state": InvoiceRun.objects.get().state,
    "invoices": Invoice.objects.count(),
    "lines": InvoiceLine.objects.count(),
    "net": str(InvoiceLine.objects.aggregate(total=Sum("net"))["total"]),
    "unbilled": unbilled().filter(amount__gt=0).count(),
}))
"""


class Turn(NamedTuple):
    """The import of the charges, and the invoice run over them from its confirmation to its end."""

    import_s: float
    seconds: float
    #: The most that a child of the worker held above what it held idle, in MiB.
    memory_mib: float
    found: dict[str, str | int]


class Office:
    """The project with a database of its own on a stage, and a worker."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.env = {
            "DJANGO_SETTINGS_MODULE": "tat.settings",
            "TAT_VAR_DIR": str(stage.dir / "var"),
            "REDIS_URL": stage.url(VARIANT),
            "SECRET_KEY": "only-for-benchmarks-" * 3,
            "LOG_LEVEL": "WARNING",
        }

    def do(self, statements: str) -> str:
        """Run statements to their end in a process of the project."""
        return self.stage.run(VARIANT, "-c", f"import django; django.setup()\n{statements}", **self.env)

    def start_worker(self) -> psutil.Process:
        """Start the worker and wait until it takes messages."""
        options = ("--pool=prefork", f"--concurrency={PROCESSES}", "--without-mingle", "--loglevel=warning")
        process = self.stage.spawn(VARIANT, "-m", "celery", "-A", "tat", "worker", *options, **self.env)
        children = psutil.Process(process.pid).children
        self.stage.wait(lambda: len(children()) >= PROCESSES, "the worker has its processes", VARIANT, process)
        return psutil.Process(process.pid)


def measure(stage: Stage) -> Turn:
    """Import the file, start a worker, confirm a run over all of it, and wait for its end."""
    office = Office(stage)
    stage.run(VARIANT, "-m", "django", "migrate", "--verbosity=0", **office.env)
    import_s = float(office.do(IMPORT))
    worker = office.start_worker()
    idle = memory_of(worker)
    office.do(CONFIRM)
    began_s, most = time.monotonic(), idle
    waiting = subprocess.Popen(
        [sys.executable, "-c", f"import django; django.setup()\n{WAIT}"],
        cwd=stage.dir,
        env=stage.environ(VARIANT, **office.env),
        stdout=subprocess.PIPE,
    )
    while waiting.poll() is None and time.monotonic() - began_s < 2 * LIMIT_S:
        most = max(most, memory_of(worker))
        time.sleep(0.2)
    seconds = time.monotonic() - began_s
    waiting.kill()
    found = json.loads(waiting.communicate()[0])
    return Turn(import_s, seconds, (most - idle) / 2**20, found)


def memory_of(worker: psutil.Process) -> int:
    """Return the resident memory of the worker's largest child, in bytes."""
    return max((child.memory_info().rss for child in worker.children()), default=0)


def run() -> str:
    """Measure, write the table and return it."""
    facts = files.cdnow()
    turns = []
    for _ in range(TURNS):
        with Stage() as stage:
            turn = measure(stage)
        say(f"import {turn.import_s:.1f} s, invoice run {turn.seconds:.1f} s, {turn.memory_mib:.0f} MiB, {turn.found}")
        turns.append(turn)
    found = turns[0].found
    seconds = Spread.of([turn.seconds for turn in turns])
    memory = Spread.of([turn.memory_mib for turn in turns])
    whole = sum(turn.found["net"] == str(facts.amount) and not turn.found["unbilled"] for turn in turns)
    import_s = Spread.of([turn.import_s for turn in turns])
    figures = [
        at_most("the import of the CDNOW file, s", import_s.median, IMPORT_LIMIT_S, import_s.show(1)),
        at_most("the run, from confirmation to its end, s", seconds.median, LIMIT_S, seconds.show(1)),
        Figure("invoices a second", Spread.of([int(turn.found["invoices"]) / turn.seconds for turn in turns]).show(0)),
        at_most("memory of a worker's child above idle, MiB", memory.median, MEMORY_GOAL_MIB, memory.show(0)),
        at_least("turns that billed every charge, to the cent", whole, TURNS, f"{whole} of {TURNS}"),
    ]
    about = (
        f"{found['invoices']:,} invoices with {found['lines']:,} lines for {facts.customers:,} customers and "
        f"{facts.charges:,} charges ({facts.free} of them for nothing, which are not billed), on SQLite, "
        f"by one worker with {PROCESSES} processes and everything else as the project has it; "
        f"{TURNS} turns, each with a fresh database and worker. No web server runs, and no recorder."
    )
    return write("invoicing", "Import and invoice run", about, figures)
