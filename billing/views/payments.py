"""The pages of payments."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from billing.exceptions import PaymentRefusedError
from billing.forms_payments import PaymentFilter, PaymentForm
from billing.models import Invoice
from billing.money import Money
from billing.services import payments as verbs
from billing.views.access import requires

PAYMENTS_PER_PAGE = 50


@requires("billing.view_payment")
@require_safe
def payments(request: HttpRequest) -> HttpResponse:
    """List payments, newest first: all, those of a customer, or credit that no invoice uses."""
    form = PaymentFilter(request.GET)
    page = Paginator(form.found(), PAYMENTS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "billing/payments.html", {"form": form, "page": page})


@requires("billing.add_payment")
@require_POST
def pay(request: HttpRequest, pk: int) -> HttpResponse:
    """Enter a payment for an invoice, and lead back to it, which then says what became of it."""
    invoice = get_object_or_404(Invoice, pk=pk)
    form = PaymentForm(request.POST)
    if not form.is_valid():
        for name, errors in form.errors.items():
            messages.error(request, f"{form[name].label}: {' '.join(map(str, errors))}")
        return redirect(invoice)
    values = form.cleaned_data
    amount = Money(values.pop("amount"), invoice.currency)
    try:
        kept = verbs.record(amount, invoice=invoice, user=request.user, **values)
    except PaymentRefusedError as error:
        messages.error(request, str(error))
        return redirect(invoice)
    messages.success(request, _("The payment of %(amount)s is kept.") % {"amount": amount})
    if kept.invoice_id is None or kept.amount < amount.amount:
        messages.info(request, _("It is more than the invoice still asked for; the rest is the customer's credit."))
    return redirect(invoice)
