"""Bills the customers of one part of an invoice run: some in each transaction, one by one where that fails.

Wherever it is killed, the next start bills what is left. Two workers on one customer are harmless: the second waits
for the customer's row, and then finds nothing to bill.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, QuerySet

from billing import taxes
from billing.company import company
from billing.exceptions import CannotBillError
from billing.models import Charge, Customer, Invoice, InvoiceLine, InvoiceRun, InvoiceRunFailure, InvoiceRunPart
from billing.services import invoicing, numbering, planning
from billing.services.invoice_runs import settle

logger = logging.getLogger(__name__)

BATCH_CUSTOMERS = 100
MAX_REASON_CHARS = 500
#: These say nothing about a customer: the database is away or busy, or the time is up.
NOBODYS_FAULT = (OperationalError, InterfaceError, SoftTimeLimitExceeded)


def bill_part(part_id: int, on_customer: Callable[[int], object] = lambda count: None) -> InvoiceRunPart:
    """Bill what a part has still to bill; `on_customer` hears how many of its customers are done, at the start too."""
    part = InvoiceRunPart.objects.select_related("invoice_run").get(pk=part_id)
    if part.state == InvoiceRunPart.State.DONE:
        on_customer(part.customer_count)
        return part
    run, rates = part.invoice_run, taxes.load()
    # Django has no `range` of a foreign key.
    bounds = {"customer_id__gte": part.first_customer_id, "customer_id__lte": part.last_customer_id}
    billable = planning.billable(run).filter(**bounds)
    done = max(0, part.customer_count - billable.values("customer_id").distinct().count())
    on_customer(done)
    for ids in _batches(billable):
        _bill(run, ids, rates)
        done += len(ids)
        on_customer(done)
    # Who failed once may be billed by now, by a draft or by another worker on this part.
    run.failures.filter(**bounds).exclude(customer__in=billable.values("customer")).delete()
    part.state, part.error = InvoiceRunPart.State.DONE, ""
    part.save(update_fields=["state", "error"])
    settle(run.pk)
    return part


def _batches(billable: QuerySet[Charge]) -> Iterator[list[int]]:
    after = 0
    ids_of = billable.order_by("customer_id").values_list("customer_id", flat=True).distinct()
    while ids := list(ids_of.filter(customer_id__gt=after)[:BATCH_CUSTOMERS]):
        yield ids
        after = ids[-1]


def _bill(run: InvoiceRun, ids: Sequence[int], rates: taxes.Rates) -> None:
    try:
        _bill_together(run, ids, rates)
    except NOBODYS_FAULT:
        raise
    except Exception as error:
        if len(ids) > 1:
            for customer_id in ids:
                _bill(run, [customer_id], rates)
            return
        # Whatever it is, the other customers are billed; this one waits for a person who reads why.
        extra = {"action": "customer_not_billed", "invoice_run": run.pk, "customer": ids[0]}
        logger.exception("A customer could not be billed.", extra=extra)
        _note_failure(run, ids[0], f"{type(error).__name__}: {error}")


@transaction.atomic
def _bill_together(run: InvoiceRun, ids: Sequence[int], rates: taxes.Rates) -> None:
    """Write the invoices of these customers, all or none of them; who cannot be billed is noted beside them."""
    customers = Customer.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").in_bulk()
    made: list[tuple[Invoice, list[InvoiceLine]]] = []
    run.failures.filter(customer__in=ids).delete()
    for customer_id, of_customer in _by_customer(planning.billable(run).filter(customer_id__in=ids)):
        period = {"period_start": run.period_start, "period_end": run.period_end}
        try:
            made.append(invoicing.build(customers[customer_id], of_customer, rates, invoice_run=run, **period))
        except CannotBillError as error:
            _note_failure(run, customer_id, str(error))
    _write(run, made)


def _by_customer(billable: QuerySet[Charge]) -> Iterator[tuple[int, Iterable[Charge]]]:
    """Yield customers with their charges, and of who has more than an invoice takes only enough to see that."""
    counted = billable.values("customer_id").annotate(count=Count("pk")).filter(count__gt=invoicing.MAX_CHARGES)
    crowded = list(counted.values_list("customer_id", flat=True))
    for customer_id in crowded:
        yield customer_id, billable.filter(customer_id=customer_id)[: invoicing.MAX_CHARGES + 1]
    # At once: PostgreSQL plans a cursor for its first rows, and may need minutes for the last.
    rest = billable.exclude(customer_id__in=crowded).order_by("customer_id", "day", "pk")
    yield from groupby(rest, key=lambda charge: charge.customer_id)


def _write(run: InvoiceRun, made: list[tuple[Invoice, list[InvoiceLine]]]) -> None:
    if not made:
        return
    assert run.issued_on is not None, "a confirmed run has its day"
    seller = company().as_seller()
    numbers = numbering.take(Invoice.Kind.INVOICE, run.issued_on, len(made))
    for (invoice, _lines), number in zip(made, numbers, strict=True):
        invoicing.stamp(invoice, number, run.issued_on, seller)
    Invoice.objects.bulk_create(invoice for invoice, _lines in made)
    InvoiceLine.objects.bulk_create(line for _invoice, lines in made for line in lines)


def _note_failure(run: InvoiceRun, customer_id: int, reason: str) -> None:
    InvoiceRunFailure.objects.update_or_create(
        invoice_run=run, customer_id=customer_id, defaults={"reason": reason[:MAX_REASON_CHARS]}
    )
