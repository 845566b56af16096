"""The pages of imports."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from billing.forms import UploadForm
from billing.models import ChargeImport
from billing.tasks.imports import queue_import
from billing.views.access import refuse, requires

IMPORTS_PER_PAGE = 50
LINES_PER_PAGE = 100
ADD, VIEW_ALL = "billing.add_chargeimport", "billing.view_chargeimport"


@requires(ADD, VIEW_ALL)
@require_http_methods(["GET", "HEAD", "POST"])
def imports(request: HttpRequest) -> HttpResponse:
    """List imports, and take a new file."""
    if request.method == "POST" and not request.user.has_perm(ADD):
        return refuse(request, ADD)
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    if form.is_valid() and (received := form.receive(request.user)):
        record, is_new = received
        if not is_new:
            return _known(request, record)
        queue_import(record)
        return redirect(record)
    visible = ChargeImport.objects.visible_to(request.user).select_related("uploaded_by")
    page = Paginator(visible, IMPORTS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "billing/imports.html", {"form": form, "page": page}, status=422 if form.errors else 200)


@requires(ADD, VIEW_ALL)
@require_GET
def show_import(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one import: its run while it lasts, then what was billed and what was not."""
    record = get_object_or_404(ChargeImport.objects.visible_to(request.user), pk=pk)
    page = Paginator(record.rejected_lines.order_by("line"), LINES_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "billing/import.html", {"import": record, "page": page})


@requires(ADD)
@require_POST
def start_import(request: HttpRequest, pk: int) -> HttpResponse:
    """Start an import again that waits or stopped; it goes on where it was."""
    record = get_object_or_404(ChargeImport.objects.visible_to(request.user), pk=pk)
    if record.may_start:
        queue_import(record)
    return redirect(record)


def _known(request: HttpRequest, record: ChargeImport) -> HttpResponse:
    messages.info(request, _("This very file was uploaded before; nothing is billed twice."))
    is_visible = ChargeImport.objects.visible_to(request.user).filter(pk=record.pk).exists()
    return redirect(record) if is_visible else redirect("billing:imports")
