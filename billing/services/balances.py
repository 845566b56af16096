"""What customers owe: open invoices, less what they paid and no invoice has used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from django.db.models import F, QuerySet, Sum

from billing.models import Customer, Invoice, Payment
from billing.money import Money

Balances = dict[int, dict[str, Money]]


def credit() -> QuerySet[Payment]:
    """Payments that no invoice uses; voiding one gives its payments back."""
    return Payment.objects.filter(invoice__isnull=True)


def open_invoices() -> QuerySet[Invoice]:
    """Invoices that still ask for money; one over nothing never did."""
    return Invoice.objects.filter(kind=Invoice.Kind.INVOICE, state__in=Invoice.OPEN, gross__gt=F("paid"))


def balance(customer: Customer) -> dict[str, Money]:
    """What a customer owes by currency, less than nothing for credit; currencies that are even are left out."""
    return balances([customer.pk]).get(customer.pk, {})


def balances(customer_ids: Iterable[int]) -> Balances:
    """The same for many customers, in two queries; who is even in all currencies is left out."""
    wanted = list(customer_ids)
    sums: dict[int, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    asked = open_invoices().filter(customer__in=wanted).order_by().values_list("customer_id", "currency")
    for customer_id, currency, gross, paid in asked.annotate(Sum("gross"), Sum("paid")):
        sums[customer_id][currency] += gross - paid
    came = credit().filter(customer__in=wanted).order_by().values_list("customer_id", "currency")
    for customer_id, currency, amount in came.annotate(Sum("amount")):
        sums[customer_id][currency] -= amount
    found = {
        customer_id: {currency: Money(amount, currency) for currency, amount in by_currency.items() if amount}
        for customer_id, by_currency in sums.items()
    }
    return {customer_id: by_currency for customer_id, by_currency in found.items() if by_currency}
