"""Invoice runs: planned, confirmed by a person, cut into parts, and settled when the last part is over."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from billing.company import today
from billing.exceptions import RunNotConfirmableError
from billing.models import Invoice, InvoiceRun, InvoiceRunPart
from billing.services import planning

PART_CUSTOMERS = 500
#: A run whose parts wait and that wrote no invoice for so long may be started again; doing so too early is harmless.
STALLED_AFTER = timedelta(seconds=120)
#: Seconds that a confirmation waits for charges that are being written.
MAX_LOCK_WAIT_S = 10
State, Part = InvoiceRun.State, InvoiceRunPart.State


def plan(start: date, end: date, cut_off: date, user: Any) -> InvoiceRun:
    """Store what a run would bill, for a person to look at and to confirm."""
    return InvoiceRun.objects.create(
        period_start=start,
        period_end=end,
        cut_off=cut_off,
        plan=planning.plan(start, end, cut_off),
        created_by=user,
    )


@transaction.atomic
def confirm(run_id: int, user: Any, seen: str) -> bool:
    """Let a run begin if its plan is still the one that was seen (a `planning.digest`); else store the new plan.

    Returns whether the run begins; the caller queues it in the same transaction. Raises RunNotConfirmableError.
    """
    run = InvoiceRun.objects.select_for_update().get(pk=run_id)
    if run.state != State.PLANNED:
        raise RunNotConfirmableError(_("This run was confirmed before."))
    _wait_for_charges_under_way()
    known = planning.plan(run.period_start, run.period_end, run.cut_off)
    is_unchanged = planning.digest(known) == seen
    run.plan = known
    if is_unchanged:
        if not known["charges"]:
            raise RunNotConfirmableError(_("There is nothing to bill."))
        run.state, run.last_charge_id = State.RUNNING, known["last_charge"]
        run.confirmed_by, run.confirmed_at = user, timezone.now()
        run.started_at, run.issued_on = run.confirmed_at, today()
    run.save()
    return is_unchanged


def _wait_for_charges_under_way() -> None:
    """Wait until whoever is writing charges has committed, and let nobody write until we have.

    Else one with a lower id than the plan's last could appear after the confirmation. SQLite has one writer anyway.
    """
    if connection.vendor == "postgresql":
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{MAX_LOCK_WAIT_S}s'")
                cursor.execute("LOCK TABLE billing_charge IN SHARE MODE")
        except OperationalError as error:
            raise RunNotConfirmableError(_("Charges are being written. Confirm again in a moment.")) from error


@transaction.atomic
def make_parts(run_id: int) -> list[InvoiceRunPart]:
    """Cut a run into parts, once, and return those that are to be done, each with a run id of its own from now on."""
    run = InvoiceRun.objects.select_for_update().get(pk=run_id)
    if not run.parts.exists():
        InvoiceRunPart.objects.bulk_create(_cut(run))
    waiting = list(run.parts.filter(state=Part.WAITING).order_by("number"))
    for part in waiting:
        part.run_id = str(uuid.uuid4())
    InvoiceRunPart.objects.bulk_update(waiting, ["run_id"], batch_size=200)
    return waiting


def _cut(run: InvoiceRun) -> Iterator[InvoiceRunPart]:
    billable = planning.billable(run).order_by("customer_id").values_list("customer_id", flat=True).distinct()
    ids, number = iter(billable), 0
    while chunk := list(islice(ids, PART_CUSTOMERS)):
        number += 1
        yield InvoiceRunPart(
            invoice_run=run,
            number=number,
            first_customer_id=chunk[0],
            last_customer_id=chunk[-1],
            customer_count=len(chunk),
        )


def note_part_failure(part_id: int, error: BaseException) -> None:
    """Show on a part that its task ended for good before its customers did, and settle its run."""
    unfinished = InvoiceRunPart.objects.filter(pk=part_id).exclude(state=Part.DONE)
    unfinished.update(state=Part.FAILED, error=f"{type(error).__name__}: {error}"[:500])
    settle(InvoiceRunPart.objects.values_list("invoice_run_id", flat=True).get(pk=part_id))


@transaction.atomic
def settle(run_id: int) -> InvoiceRun:
    """Say how a run ended, if all its parts are over (they were made before); safe to call after each, and again."""
    run = InvoiceRun.objects.select_for_update().get(pk=run_id)
    is_over = not run.parts.filter(state=Part.WAITING).exists()
    # Of two workers on a part one may note a failure when the other one has settled the run as succeeded.
    if run.state != State.PLANNED and is_over:
        is_whole = not run.failures.exists() and not run.parts.exclude(state=Part.DONE).exists()
        run.state = State.SUCCEEDED if is_whole else State.INCOMPLETE
        run.save(update_fields=["state"])
    return run


@transaction.atomic
def retry(run_id: int) -> bool:
    """Let what failed or never came to its end begin again; the caller queues the run. False: there is nothing."""
    run = InvoiceRun.objects.select_for_update().get(pk=run_id)
    if not may_retry(run):
        return False
    failed = run.failures.filter(
        customer_id__gte=OuterRef("first_customer_id"), customer_id__lte=OuterRef("last_customer_id")
    )
    again = run.parts.filter(Q(state=Part.FAILED) | Exists(failed))
    again.update(state=Part.WAITING, error="")
    run.state, run.started_at, run.issued_on = State.RUNNING, timezone.now(), today()
    run.save(update_fields=["state", "started_at", "issued_on"])
    return True


def may_retry(run: InvoiceRun) -> bool:
    """Whether a person may start a run again: it is incomplete, no worker was told, or nothing moves any more."""
    if run.state != State.RUNNING:
        return run.state == State.INCOMPLETE
    if not run.run_id or run.started_at is None:
        return True
    last = run.invoices.aggregate(last=Max("created_at"))["last"]
    return timezone.now() - max(last or run.started_at, run.started_at) > STALLED_AFTER


@dataclass(frozen=True)
class Progress:
    """How far a run is, made from its parts."""

    customers: int
    customers_done: int
    parts: int
    parts_done: int
    parts_failed: int
    invoices: int
    failures: int
    #: Net, by currency; the plan's are the same sums before the run.
    totals: dict[str, Decimal]

    @property
    def percent(self) -> int:
        """Customers billed or failed, of all; never 100 before the end."""
        return self.customers_done * 100 // self.customers if self.customers else 0


def progress(run: InvoiceRun) -> Progress:
    """Count what a run has done until now."""
    of_parts = run.parts.aggregate(
        customers=Sum("customer_count", default=0),
        count=Count("pk"),
        done=Count("pk", filter=Q(state=Part.DONE)),
        failed=Count("pk", filter=Q(state=Part.FAILED)),
    )
    billed = (
        run.invoices.filter(kind=Invoice.Kind.INVOICE)
        .values("currency")
        .annotate(count=Count("pk"), net=Sum("net"))
        .order_by("currency")
    )
    groups = list(billed)
    invoices, failures = sum(group["count"] for group in groups), run.failures.count()
    return Progress(
        customers=of_parts["customers"] or run.plan.get("customers", 0),
        customers_done=min(invoices + failures, of_parts["customers"]),
        parts=of_parts["count"],
        parts_done=of_parts["done"],
        parts_failed=of_parts["failed"],
        invoices=invoices,
        failures=failures,
        totals={group["currency"]: group["net"] for group in groups},
    )
