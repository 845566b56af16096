"""The pages of customers."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from billing.company import company
from billing.forms_customers import CustomerForm, CustomerSearch
from billing.models import Customer
from billing.services import customers as service
from billing.views.access import requires

CUSTOMERS_PER_PAGE = 50
FORM_METHODS = ["GET", "HEAD", "POST"]


@requires("billing.view_customer")
@require_safe
def customers(request: HttpRequest) -> HttpResponse:
    """List customers: all, or those that a search finds."""
    form = CustomerSearch(request.GET)
    page = Paginator(form.found(), CUSTOMERS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "billing/customers.html", {"form": form, "page": page})


@requires("billing.view_customer")
@require_safe
def customer(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one customer: what is known, what is owed, and the newest of all that was done."""
    record = get_object_or_404(Customer, pk=pk)
    return render(request, "billing/customer.html", {"customer": record, **service.overview(record)})


@requires("billing.add_customer")
@require_http_methods(FORM_METHODS)
def add_customer(request: HttpRequest) -> HttpResponse:
    """Take a new customer in."""
    return _edit(request, Customer(number=service.next_number(), currency=company().currency))


@requires("billing.change_customer")
@require_http_methods(FORM_METHODS)
def edit_customer(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what is known of a customer; issued invoices keep what they say."""
    return _edit(request, get_object_or_404(Customer, pk=pk))


def _edit(request: HttpRequest, record: Customer) -> HttpResponse:
    form = CustomerForm(request.POST if request.method == "POST" else None, instance=record)
    if request.method == "POST" and form.is_valid():
        saved = form.save()
        messages.success(request, _("%(customer)s is saved.") % {"customer": saved})
        return redirect(saved)
    context = {"form": form, "customer": record}
    return render(request, "billing/customer_form.html", context, status=422 if form.errors else 200)
