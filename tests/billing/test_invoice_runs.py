"""Invoice runs: what a plan says, what is billed, what is left, and that no charge is billed twice."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import Sum
from django.utils import timezone

from billing import tasks, taxes
from billing.exceptions import RunNotConfirmableError
from billing.models import Charge, Customer, Invoice, InvoiceLine, InvoiceRun, InvoiceRunPart
from billing.services import invoice_runs, invoicing, part_billing, planning
from billing.services.charges import unbilled
from tests.billing.trade import CUT_OFF, END, START, bill, confirmed_run, make_charge, make_customer, make_customers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tax_rates")]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of four customers, billed two at a time."""
    monkeypatch.setattr(invoice_runs, "PART_CUSTOMERS", 4)
    monkeypatch.setattr(part_billing, "BATCH_CUSTOMERS", 2)


def numbers_of(run: InvoiceRun) -> list[str]:
    return sorted(Invoice.objects.filter(invoice_run=run).values_list("number", flat=True))


def assert_numbers_without_holes(run: InvoiceRun, count: int) -> None:
    assert run.issued_on is not None
    assert numbers_of(run) == [f"{run.issued_on.year}-{number:05}" for number in range(1, count + 1)]


def test_a_plan_counts_what_is_billed_and_what_is_left_out_and_why() -> None:
    euro, dollar = make_customer(), make_customer(currency="USD")
    make_charge(euro, "10.00", day=START)
    make_charge(euro, "0.50", day=END, entered_on=CUT_OFF)
    make_charge(dollar, "7.00")
    make_charge(euro, "1.00", entered_on=CUT_OFF + timedelta(days=1))
    make_charge(euro, "2.00", day=START - timedelta(days=1))
    make_charge(dollar, "3.00", day=START - timedelta(days=1))
    make_charge(euro, "0.00")
    last = make_charge(dollar, "4.00", currency="EUR")
    make_charge(euro, "99.00", day=END + timedelta(days=1))
    billed = make_charge(euro, "50.00")
    invoicing.make_draft(euro, [billed])

    plan = planning.plan(START, END, CUT_OFF)

    assert (plan["customers"], plan["charges"]) == (2, 3)
    assert plan["totals"] == {"EUR": "10.50", "USD": "7.00"}
    assert plan["last_charge"] < last.pk
    assert {(entry["reason"], entry["currency"]): (entry["charges"], entry["total"]) for entry in plan["left_out"]} == {
        ("before", "EUR"): (1, "2.00"),
        ("before", "USD"): (1, "3.00"),
        ("late", "EUR"): (1, "1.00"),
        ("zero", "EUR"): (1, "0.00"),
        ("currency", "EUR"): (1, "4.00"),
    }


def test_a_run_bills_what_its_plan_said_and_nothing_else(manager: Any) -> None:
    customer = make_customer(payment_days=10)
    make_charge(customer, "10.00", day=date(2026, 3, 20))
    make_charge(customer, "20.00", day=date(2026, 3, 5))
    late = make_charge(customer, "1.00", entered_on=CUT_OFF + timedelta(days=1))
    run = confirmed_run(manager)
    after = make_charge(customer, "5.00")

    run = bill(run)

    invoice = Invoice.objects.get()
    assert run.state == "succeeded"
    assert [line.net for line in invoice.lines.order_by("position")] == [Decimal("20.00"), Decimal("10.00")]
    assert (invoice.invoice_run, invoice.issued_on, invoice.state) == (run, run.issued_on, "issued")
    assert invoice.due_on == run.issued_on + timedelta(days=10)  # type: ignore[operator]
    assert (invoice.period_start, invoice.period_end, invoice.gross) == (START, END, Decimal("35.70"))
    assert set(unbilled()) == {late, after}


@pytest.mark.usefixtures("small_parts")
def test_parts_cover_every_customer_once(manager: Any) -> None:
    make_customers(9)
    run = confirmed_run(manager)

    parts = invoice_runs.make_parts(run.pk)
    again = invoice_runs.make_parts(run.pk)

    assert [part.customer_count for part in parts] == [4, 4, 1]
    assert [part.pk for part in again] == [part.pk for part in parts]
    assert {part.run_id for part in again}.isdisjoint({part.run_id for part in parts})
    bill(run)
    assert_numbers_without_holes(run, 9)
    assert Counter(Invoice.objects.values_list("customer", flat=True)).most_common(1)[0][1] == 1


def test_a_plan_that_changed_is_not_confirmed_and_the_new_one_is_stored(manager: Any) -> None:
    customer = make_customer()
    make_charge(customer, "10.00")
    run = invoice_runs.plan(START, END, CUT_OFF, manager)
    seen = planning.digest(run.plan)
    make_charge(customer, "5.00")

    assert not invoice_runs.confirm(run.pk, manager, seen)

    run.refresh_from_db()
    assert (run.state, run.plan["totals"], run.confirmed_by) == ("planned", {"EUR": "15.00"}, None)
    assert not invoice_runs.confirm(run.pk, manager, seen)
    assert invoice_runs.confirm(run.pk, manager, planning.digest(run.plan))


def test_a_run_begins_once_and_not_for_nothing(manager: Any) -> None:
    empty = invoice_runs.plan(START, END, CUT_OFF, manager)
    with pytest.raises(RunNotConfirmableError, match="nothing to bill"):
        invoice_runs.confirm(empty.pk, manager, planning.digest(empty.plan))
    make_charge(make_customer())
    run = confirmed_run(manager)

    with pytest.raises(RunNotConfirmableError, match="confirmed before"):
        invoice_runs.confirm(run.pk, manager, planning.digest(run.plan))


@pytest.mark.usefixtures("small_parts")
def test_who_cannot_be_billed_is_said_with_the_reason_and_the_others_are_billed(manager: Any) -> None:
    make_customers(5)
    lost = Customer.objects.order_by("pk")[1]
    Customer.objects.filter(pk=lost.pk).update(country="SI")
    Charge.objects.filter(customer=lost).update(day=date(1997, 1, 1))
    run = confirmed_run(manager, start=date(1997, 1, 1))

    run = bill(run)

    failure = run.failures.get()
    assert (run.state, failure.customer) == ("incomplete", lost)
    assert "No tax rate of SI is known for 1997-01-01" in failure.reason
    assert_numbers_without_holes(run, 4)
    progress = invoice_runs.progress(run)
    assert (progress.customers, progress.customers_done, progress.invoices, progress.failures) == (5, 5, 4, 1)


def test_again_bills_only_what_failed(manager: Any, small_parts: None) -> None:
    make_customers(6)
    lost = Customer.objects.order_by("pk")[1]
    Customer.objects.filter(pk=lost.pk).update(country="SI")
    Charge.objects.filter(customer=lost).update(day=date(1997, 1, 1))
    run = bill(confirmed_run(manager, start=date(1997, 1, 1)))
    Customer.objects.filter(pk=lost.pk).update(country="")

    assert invoice_runs.retry(run.pk)
    assert [part.number for part in invoice_runs.make_parts(run.pk)] == [1]
    run = bill(run)

    assert (run.state, run.failures.count()) == ("succeeded", 0)
    assert_numbers_without_holes(run, 6)
    assert not invoice_runs.retry(run.pk)


@pytest.mark.usefixtures("small_parts")
def test_an_error_nobody_thought_of_costs_one_customer_and_not_the_batch(
    manager: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_customers(4)
    lost, real = Customer.objects.order_by("pk")[2], invoicing.build

    def broken(customer: Customer, *args: Any, **fields: Any) -> Any:
        if customer == lost:
            raise ZeroDivisionError("no such rate")
        return real(customer, *args, **fields)

    monkeypatch.setattr(invoicing, "build", broken)
    run = bill(confirmed_run(manager))

    failure = run.failures.get()
    assert (failure.customer, failure.reason) == (lost, "ZeroDivisionError: no such rate")
    assert_numbers_without_holes(run, 3)
    assert "could not be billed" in caplog.text


@pytest.mark.usefixtures("small_parts")
def test_a_lost_database_is_nobody_s_failure_and_the_next_try_bills_the_rest(
    manager: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_customers(4)
    run = confirmed_run(manager)
    (part,) = invoice_runs.make_parts(run.pk)
    real, calls = part_billing._write, []

    def lost_at_the_second(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise OperationalError("server closed the connection")
        real(*args)

    monkeypatch.setattr(part_billing, "_write", lost_at_the_second)
    with pytest.raises(OperationalError):
        part_billing.bill_part(part.pk)
    assert (Invoice.objects.count(), run.failures.count()) == (2, 0)
    heard: list[int] = []
    part_billing.bill_part(part.pk, on_customer=heard.append)

    assert heard == [2, 4]
    assert_numbers_without_holes(run, 4)


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_died_for_good_makes_the_run_incomplete_and_can_be_done_again(manager: Any) -> None:
    make_customers(6)
    run = confirmed_run(manager)
    first, second = invoice_runs.make_parts(run.pk)

    invoice_runs.note_part_failure(second.pk, MemoryError("killed"))
    assert invoice_runs.settle(run.pk).state == "running"
    part_billing.bill_part(first.pk)

    run.refresh_from_db()
    assert (run.state, run.parts.get(state="failed").error) == ("incomplete", "MemoryError: killed")
    assert invoice_runs.retry(run.pk)
    assert bill(run).state == "succeeded"
    assert_numbers_without_holes(run, 6)


def test_a_part_that_is_done_is_left_alone_and_a_late_failure_does_not_undo_it(manager: Any) -> None:
    make_customers(2)
    run = bill(confirmed_run(manager))
    part = InvoiceRunPart.objects.get()
    invoicing.void(Invoice.objects.order_by("pk")[0].pk, None)

    part_billing.bill_part(part.pk)
    invoice_runs.note_part_failure(part.pk, RuntimeError("late"))

    part.refresh_from_db()
    assert (part.state, Invoice.objects.filter(kind="invoice").count()) == ("done", 2)
    assert invoice_runs.settle(run.pk).state == "succeeded"


def test_two_runs_of_one_period_bill_each_charge_once(manager: Any) -> None:
    make_customers(5)
    one, other = confirmed_run(manager), confirmed_run(manager)

    bill(one)
    bill(other)

    assert (one.invoices.count(), other.invoices.count()) == (5, 0)
    assert InvoiceLine.objects.aggregate(total=Sum("net"))["total"] == Decimal("100.00")
    other.refresh_from_db()
    assert other.state == "succeeded"


@pytest.mark.parametrize(
    ("state", "run_id", "moved", "expected"),
    [
        ("planned", "", timedelta(), False),
        ("running", "x", timedelta(), False),
        ("running", "", timedelta(), True),
        ("running", "x", invoice_runs.STALLED_AFTER + timedelta(seconds=1), True),
        ("incomplete", "x", timedelta(), True),
        ("succeeded", "x", timedelta(days=1), False),
    ],
)
def test_a_person_may_start_again_what_failed_or_stands_still(
    manager: Any, state: str, run_id: str, moved: timedelta, expected: bool
) -> None:
    run = invoice_runs.plan(START, END, CUT_OFF, manager)
    run.state, run.run_id, run.started_at = state, run_id, timezone.now() - moved
    run.save()

    assert invoice_runs.may_retry(run) is expected
    assert invoice_runs.retry(run.pk) is expected


# The tasks, as a worker calls them


def test_the_tasks_bill_the_parts_and_say_how_the_run_ended(manager: Any, small_parts: None) -> None:
    make_customers(6)
    run = confirmed_run(manager)
    parts = invoice_runs.make_parts(run.pk)

    results = [tasks.invoice_run_part.apply((part.pk,)).get() for part in parts]

    assert results == [{"customers": 4}, {"customers": 2}]
    end = tasks.finish_invoice_run.apply((run.pk,)).get()
    assert end == {"state": "succeeded", "invoices": 6, "failures": 0}
    assert_numbers_without_holes(run, 6)


def test_a_part_s_task_that_fails_says_so_on_the_part(manager: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_customers(2)
    run = confirmed_run(manager)
    (part,) = invoice_runs.make_parts(run.pk)

    def broken() -> None:
        raise RuntimeError("no rates at all")

    monkeypatch.setattr(taxes, "load", broken)
    result = tasks.invoice_run_part.apply((part.pk,))

    part.refresh_from_db()
    run.refresh_from_db()
    assert isinstance(result.result, RuntimeError)
    assert (part.state, part.error, run.state) == ("failed", "RuntimeError: no rates at all", "incomplete")


@pytest.mark.parametrize("name", ["invoice_run", "invoice_run_part", "finish_invoice_run"])
def test_what_may_run_twice_is_acknowledged_late_and_comes_back_when_its_worker_dies(name: str) -> None:
    task = getattr(tasks, name)

    assert task.acks_late
    assert task.reject_on_worker_lost
    assert OperationalError in task.autoretry_for
