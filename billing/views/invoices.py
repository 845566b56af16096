"""The pages of invoices: the list, one invoice, and what a person does with it beside sending and payments."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from billing import taxes
from billing.company import today
from billing.exceptions import CannotBillError, NotADraftError, NotVoidableError
from billing.forms_invoices import InvoiceFilter
from billing.models import Customer, Invoice
from billing.services import invoicing
from billing.views.access import requires

INVOICES_PER_PAGE = 50
LINES_PER_PAGE = 100
MAX_HISTORY = 100


@requires("billing.view_invoice")
@require_GET
def invoices(request: HttpRequest) -> HttpResponse:
    """List invoices, filtered by state, customer, number and run."""
    form = InvoiceFilter(request.GET)
    page = Paginator(form.found(), INVOICES_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "billing/invoices.html", {"form": form, "page": page})


@requires("billing.view_invoice")
@require_GET
def invoice(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one invoice with its lines, taxes, notes and history."""
    record = get_object_or_404(
        Invoice.objects.select_related("customer", "invoice_run", "corrects", "credit_note"), pk=pk
    )
    lines = Paginator(record.lines.order_by("position"), LINES_PER_PAGE).get_page(request.GET.get("page"))
    is_demand = record.kind == Invoice.Kind.INVOICE
    context = {
        "invoice": record,
        "page": lines,
        "tax_groups": record.lines.order_by()
        .values("tax_percent")
        .annotate(net=Sum("net"), tax=Sum("tax"), lines=Count("pk"))
        .order_by("tax_percent"),
        "today": today(),
        "tax_note": _tax_note(record),
        "history": _history(record),
        "is_draft": record.state == Invoice.State.DRAFT,
        "may_void": is_demand and record.state not in (Invoice.State.DRAFT, Invoice.State.VOID),
        "may_dispute": is_demand and record.state in Invoice.OPEN,
    }
    return render(request, "billing/invoice.html", context)


@requires("billing.change_invoice")
@require_POST
def draft(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a draft of what a customer has unbilled."""
    record = get_object_or_404(Customer, pk=pk)
    try:
        return redirect(invoicing.draft_unbilled(pk))
    except CannotBillError as error:
        messages.error(request, str(error))
        return redirect(record)


@requires("billing.change_invoice")
@require_POST
def discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Throw a draft away."""
    return _done(request, pk, lambda: invoicing.discard(pk))


@requires("billing.change_invoice")
@require_POST
def issue(request: HttpRequest, pk: int) -> HttpResponse:
    """Issue a draft, unless its tax is another than the page showed."""

    def verb() -> Invoice:
        record = invoicing.issue(pk)
        if record.state == Invoice.State.DRAFT:
            messages.warning(
                request, _("The tax has changed since this draft was made. This is the new one: look again.")
            )
        return record

    return _done(request, pk, verb)


@requires("billing.void_invoice")
@require_POST
def void(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an invoice back by a credit note."""
    release = request.POST.get("release") == "1"
    return _done(request, pk, lambda: invoicing.void(pk, request.user, release_charges=release))


@requires("billing.change_invoice")
@require_POST
def dispute(request: HttpRequest, pk: int) -> HttpResponse:
    """Note that the customer contests the invoice, or no longer does."""
    disputed = request.POST.get("disputed")
    if disputed not in ("0", "1"):
        return HttpResponseBadRequest("What is disputed is 1, and 0 no longer.", content_type="text/plain")
    return _done(request, pk, lambda: invoicing.dispute(pk, request.user, disputed == "1"))


def _done(request: HttpRequest, pk: int, verb: Callable[[], Invoice | Customer]) -> HttpResponse:
    record = get_object_or_404(Invoice, pk=pk)
    try:
        return redirect(verb())
    except (NotVoidableError, NotADraftError, CannotBillError) as error:
        messages.error(request, str(error))
        return redirect(record)


def _tax_note(record: Invoice) -> str:
    code = record.buyer.get("tax_note") or (taxes.Note.REVERSE_CHARGE if record.reverse_charge else "")
    return str(taxes.Note(code).label) if code in taxes.Note.values else ""


def _history(record: Invoice) -> QuerySet[LogEntry]:
    kind = ContentType.objects.get_for_model(Invoice)
    entries = LogEntry.objects.filter(content_type=kind, object_id=str(record.pk)).select_related("user")
    return entries.order_by("action_time")[:MAX_HISTORY]
