"""Invoice runs begun again, and two workers on one part: what is billed then, on which day, and how the run ends."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing.models import Customer, Invoice, InvoiceRun, InvoiceRunPart
from billing.services import invoice_runs, invoicing, part_billing
from billing.services.charges import unbilled
from tests.billing.trade import START, bill, confirmed_run, make_charge, make_customer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tax_rates")]


@pytest.fixture
def lost() -> Customer:
    """A customer who cannot be billed: no tax rate of the country is known."""
    customer = make_customer(country="SI")
    make_charge(customer, day=date(1997, 1, 1))
    return customer


@pytest.fixture
def run(lost: Customer, manager: Any) -> InvoiceRun:
    """A run that has billed one customer and could not bill the other one."""
    make_charge(make_customer())
    return bill(confirmed_run(manager, start=date(1997, 1, 1)))


def mend(lost: Customer) -> None:
    Customer.objects.filter(pk=lost.pk).update(country="")


def begin_again(run: InvoiceRun) -> InvoiceRunPart:
    assert invoice_runs.retry(run.pk)
    (part,) = invoice_runs.make_parts(run.pk)
    return part


def test_what_was_voided_is_not_billed_again(run: InvoiceRun, lost: Customer) -> None:
    voided = run.invoices.get()
    invoicing.void(voided.pk)
    mend(lost)
    begin_again(run)

    assert bill(run).state == "succeeded"

    assert set(run.invoices.exclude(pk=voided.pk).values_list("customer", flat=True)) == {lost.pk}
    assert unbilled().get().customer == voided.customer


def test_what_is_voided_while_its_part_runs_is_not_billed_again(manager: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_billing, "BATCH_CUSTOMERS", 1)
    for _ in range(2):
        make_charge(make_customer())
    run = confirmed_run(manager)
    (part,) = invoice_runs.make_parts(run.pk)

    def void_the_first(done: int) -> None:
        if done == 1:
            invoicing.void(Invoice.objects.get().pk)

    part_billing.bill_part(part.pk, on_customer=void_the_first)
    InvoiceRunPart.objects.update(state="waiting")  # as one that a worker did not come to the end of
    part_billing.bill_part(part.pk)

    assert run.invoices.count() == 2
    assert unbilled().count() == 1


def test_an_invoice_bears_the_day_on_which_the_run_began_again(run: InvoiceRun, lost: Customer) -> None:
    long_ago = START - timedelta(days=60)
    InvoiceRun.objects.update(issued_on=long_ago, started_at=timezone.now() - timedelta(days=60))
    mend(lost)
    begin_again(run)

    bill(run)

    run.refresh_from_db()
    assert run.issued_on != long_ago
    assert Invoice.objects.get(customer=lost).issued_on == run.issued_on


def test_it_may_begin_again_once_however_old_its_last_invoice_is(run: InvoiceRun) -> None:
    InvoiceRun.objects.update(run_id="x")
    Invoice.objects.update(created_at=timezone.now() - timedelta(days=1))

    assert [invoice_runs.retry(run.pk) for _ in range(2)] == [True, False]


def test_a_worker_killed_before_it_came_to_a_failed_customer_leaves_the_failure(
    run: InvoiceRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = begin_again(run)

    def killed(*args: Any) -> None:
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(part_billing, "_bill", killed)
        part_billing.bill_part(part.pk)
    # The other worker on the part had come to its end.
    InvoiceRunPart.objects.update(state="done")

    assert invoice_runs.settle(run.pk).state == "incomplete"
    assert run.failures.exists()


def test_a_failure_that_another_worker_notes_at_the_end_makes_the_run_incomplete(
    run: InvoiceRun, lost: Customer
) -> None:
    InvoiceRun.objects.update(state="succeeded")

    assert invoice_runs.settle(run.pk).state == "incomplete"
    assert invoice_runs.may_retry(run)


def test_who_was_billed_by_a_draft_meanwhile_is_no_failure_any_more(run: InvoiceRun, lost: Customer) -> None:
    mend(lost)
    invoicing.draft_unbilled(lost.pk)
    begin_again(run)

    assert bill(run).state == "succeeded"
    assert not run.failures.exists()


def test_a_customer_with_too_many_charges_is_said_and_can_be_billed_by_drafts(
    manager: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoicing, "MAX_CHARGES", 3)
    just, many = make_customer(), make_customer()
    for customer, count in ((just, 3), (many, 5)):
        for _ in range(count):
            make_charge(customer)
    run = bill(confirmed_run(manager))

    failure = run.failures.get()
    assert (failure.customer, run.invoices.get().customer) == (many, just)
    assert "more than 3 charges" in failure.reason

    invoicing.issue(invoicing.draft_unbilled(many.pk).pk)
    begin_again(run)
    assert bill(run).state == "succeeded"
    assert not unbilled().exists()


def test_a_failure_goes_when_its_customer_is_billed(run: InvoiceRun, lost: Customer) -> None:
    mend(lost)
    part, seen = begin_again(run), list[tuple[int, int]]()

    part_billing.bill_part(part.pk, on_customer=lambda done: seen.append((done, run.failures.count())))

    assert seen == [(1, 1), (2, 0)]
