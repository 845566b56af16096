"""The pages of a bank's files, and of their lines that wait for a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from billing.exceptions import BankLineDecidedError, PaymentRefusedError
from billing.forms_payments import BankUploadForm, IgnoreForm, ToCustomerForm, ToInvoiceForm
from billing.models import BankImport, BankLine
from billing.services import bank_lines, matching
from billing.tasks.payments import queue_bank_import
from billing.views.access import refuse, requires

IMPORTS_PER_PAGE = 50
LINES_PER_PAGE = 100
#: A run that is still unfinished then may be started beside itself, which is harmless.
STALLED_AFTER = timedelta(minutes=15)
VIEW, ADD, CHANGE = "billing.view_bankimport", "billing.add_bankimport", "billing.change_bankline"
DECISIONS = {"invoice": ToInvoiceForm, "customer": ToCustomerForm, "ignore": IgnoreForm}


@requires(VIEW)
@require_http_methods(["GET", "HEAD", "POST"])
def bank_imports(request: HttpRequest) -> HttpResponse:
    """List a bank's files, and take a new one."""
    if request.method == "POST" and not request.user.has_perm(ADD):
        return refuse(request, ADD)
    form = BankUploadForm(request.POST, request.FILES) if request.method == "POST" else BankUploadForm()
    if form.is_valid() and (received := form.receive(request.user)):
        record, is_new = received
        if is_new:
            queue_bank_import(record)
        else:
            messages.info(request, _("This very file was uploaded before; no payment is counted twice."))
        return redirect(record)
    counts = {state.value: Count("lines", filter=Q(lines__state=state)) for state in BankLine.State}
    found = BankImport.objects.select_related("uploaded_by").annotate(**counts).order_by("-uploaded_at", "-id")
    page = Paginator(found, IMPORTS_PER_PAGE).get_page(request.GET.get("page"))
    return render(
        request, "billing/bank_imports.html", {"form": form, "page": page}, status=422 if form.errors else 200
    )


@requires(VIEW)
@require_http_methods(["GET", "HEAD", "POST"])
def bank_import(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one file: its run while it lasts, then its lines, by state; posting to it starts it again."""
    record = get_object_or_404(BankImport.objects.select_related("uploaded_by"), pk=pk)
    if request.method == "POST":
        return _start_again(request, record)
    state = request.GET.get("state", "")
    counts = dict(record.lines.order_by().values_list("state").annotate(Count("pk")))
    lines = record.lines.select_related("payment__invoice", "payment__customer").order_by("line")
    if state in BankLine.State.values:
        lines = lines.filter(state=state)
    context = {
        "import": record,
        "page": Paginator(lines, LINES_PER_PAGE).get_page(request.GET.get("page")),
        "states": [(each, counts.get(each.value, 0)) for each in BankLine.State],
        "state": state,
        "is_done": record.state == BankImport.State.SUCCEEDED,
        "may_start": _may_start(record),
    }
    return render(request, "billing/bank_import.html", context)


@requires(VIEW)
@require_http_methods(["GET", "HEAD", "POST"])
def bank_line(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a line with the invoices that it may pay, and take a person's decision."""
    line = get_object_or_404(BankLine.objects.select_related("source", "payment__invoice", "payment__customer"), pk=pk)
    if request.method == "POST" and not request.user.has_perm(CHANGE):
        return refuse(request, CHANGE)
    forms = {name: form() for name, form in DECISIONS.items()}
    if request.method == "POST" and (decision := request.POST.get("decision", "")) in DECISIONS:
        forms[decision] = form = DECISIONS[decision](request.POST)
        if form.is_valid() and _decided(request, line, form.cleaned_data):
            return redirect(line.source)
    is_waiting = line.state == BankLine.State.WAITING
    found = matching.candidates(line) if is_waiting else []
    is_wrong = any(form.errors for form in forms.values())
    context = {"line": line, "candidates": found, "forms": forms, "is_waiting": is_waiting}
    return render(request, "billing/bank_line.html", context, status=422 if is_wrong else 200)


def _decided(request: HttpRequest, line: BankLine, values: dict[str, Any]) -> bool:
    try:
        if "reason" in values:
            bank_lines.ignore(line.pk, values["reason"])
        else:
            bank_lines.pay(line.pk, request.user, **values)
    except (BankLineDecidedError, PaymentRefusedError) as error:
        messages.error(request, str(error))
        line.refresh_from_db()
        return False
    messages.success(request, _("Line %(line)d is decided.") % {"line": line.line})
    return True


def _may_start(record: BankImport) -> bool:
    is_stalled = timezone.now() - record.uploaded_at > STALLED_AFTER
    is_stopped = not record.run_id or record.state == BankImport.State.FAILED or is_stalled
    return record.state != BankImport.State.SUCCEEDED and is_stopped


def _start_again(request: HttpRequest, record: BankImport) -> HttpResponse:
    if not request.user.has_perm(ADD):
        return refuse(request, ADD)
    if _may_start(record):
        queue_bank_import(record)
    return redirect(record)
