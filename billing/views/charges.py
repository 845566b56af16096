"""The pages of charges."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from billing.forms_charges import ChargeFilter, ChargeForm
from billing.views.access import requires

CHARGES_PER_PAGE = 50


@requires("billing.view_charge")
@require_safe
def charges(request: HttpRequest) -> HttpResponse:
    """List charges, newest first: all, or those of a customer, of some days, or not billed yet."""
    form = ChargeFilter(request.GET)
    page = Paginator(form.found(), CHARGES_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "billing/charges.html", {"form": form, "page": page})


@requires("billing.add_charge")
@require_http_methods(["GET", "HEAD", "POST"])
def add_charge(request: HttpRequest) -> HttpResponse:
    """Take a charge by hand; `?customer=number` fills the number in."""
    form = ChargeForm(
        request.POST if request.method == "POST" else None, initial={"customer": request.GET.get("customer", "")}
    )
    if request.method == "POST" and form.is_valid():
        saved = form.save()
        messages.success(
            request,
            _("The charge of %(charge)s is kept, and billed by the next run of its period.") % {"charge": saved},
        )
        return redirect(reverse("billing:charges", query={"customer": saved.customer.number}))
    return render(request, "billing/charge_form.html", {"form": form}, status=422 if form.errors else 200)
