"""The pages of invoice runs: plan, confirm, watch, and again what failed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from billing.exceptions import RunNotConfirmableError
from billing.forms_invoices import PlanForm
from billing.models import InvoiceRun, InvoiceRunPart
from billing.money import Money
from billing.services import invoice_runs as services
from billing.services import planning
from billing.tasks.invoice_runs import queue_run
from billing.views.access import refuse, requires

RUNS_PER_PAGE = 50
FAILURES_PER_PAGE = 50
#: Parts that are shown live; workers take them in their order, so these are the ones under way.
PARTS_WATCHED = 4


@requires("billing.view_invoicerun")
@require_http_methods(["GET", "HEAD", "POST"])
def invoice_runs(request: HttpRequest) -> HttpResponse:
    """List invoice runs, and plan a new one."""
    if request.method == "POST" and not request.user.has_perm("billing.add_invoicerun"):
        return refuse(request, "billing.add_invoicerun")
    form = PlanForm(request.POST) if request.method == "POST" else PlanForm()
    if form.is_bound and form.is_valid():
        return redirect(form.plan(request.user))
    runs = InvoiceRun.objects.select_related("created_by", "confirmed_by")
    page = Paginator(runs, RUNS_PER_PAGE).get_page(request.GET.get("page"))
    for run in page:
        run.amounts = _amounts(run.plan.get("totals", {}))  # type: ignore[attr-defined]
    return render(
        request, "billing/invoice_runs.html", {"form": form, "page": page}, status=422 if form.errors else 200
    )


@requires("billing.view_invoicerun")
@require_GET
def invoice_run(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one invoice run: its plan, then how far it is, then what it billed and whom it could not."""
    run = get_object_or_404(InvoiceRun.objects.select_related("created_by", "confirmed_by"), pk=pk)
    failures = run.failures.select_related("customer").order_by("customer__number")
    progress = services.progress(run)
    context = {
        "run": run,
        "is_planned": run.state == InvoiceRun.State.PLANNED,
        "is_running": run.state == InvoiceRun.State.RUNNING,
        "may_retry": services.may_retry(run),
        "amounts": _amounts(run.plan.get("totals", {})),
        "left_out": [_left_out(entry) for entry in run.plan.get("left_out", ())],
        "seen": planning.digest(run.plan),
        "progress": progress,
        "billed": _amounts(progress.totals),
        "watched": _watched(run),
        "broken_parts": run.parts.filter(state=InvoiceRunPart.State.FAILED),
        "page": Paginator(failures, FAILURES_PER_PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "billing/invoice_run.html", context)


@requires("billing.confirm_invoicerun")
@require_POST
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Begin a run whose plan is still the one that was seen."""
    run = get_object_or_404(InvoiceRun, pk=pk)
    try:
        with transaction.atomic():
            begins = services.confirm(pk, request.user, request.POST.get("seen", ""))
            if begins:
                queue_run(run)
            else:
                messages.warning(
                    request, _("The plan has changed since it was shown. This is the new one: look again.")
                )
    except RunNotConfirmableError as error:
        messages.error(request, str(error))
    return redirect(run)


@requires("billing.confirm_invoicerun")
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Begin again with what failed or stands still; what is billed stays as it is."""
    run = get_object_or_404(InvoiceRun, pk=pk)
    with transaction.atomic():
        if services.retry(pk):
            queue_run(run)
    return redirect(run)


def _watched(run: InvoiceRun) -> list[str]:
    waiting = run.parts.filter(state=InvoiceRunPart.State.WAITING).exclude(run_id="")
    return list(waiting.values_list("run_id", flat=True)[:PARTS_WATCHED])


def _amounts(totals: dict[str, Any]) -> list[Money]:
    return [Money(Decimal(amount), currency) for currency, amount in sorted(totals.items())]


def _left_out(entry: dict[str, Any]) -> dict[str, Any]:
    amount = Money(Decimal(entry["total"]), entry["currency"])
    return {**entry, "label": planning.LeftOut(entry["reason"]).label, "amount": amount}
