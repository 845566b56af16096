"""The pages of ledger exports, and the file, which only its owner gets, for a day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.files import File
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from billing.forms_payments import LedgerExportForm
from billing.models import LedgerExport
from billing.tasks.exports import queue_export
from billing.views.access import refuse, requires

EXPORTS_PER_PAGE = 50
CHUNK_BYTES = 65_536
VIEW, ADD = "billing.view_ledgerexport", "billing.add_ledgerexport"
CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@requires(VIEW)
@require_http_methods(["GET", "HEAD", "POST"])
def ledger_exports(request: HttpRequest) -> HttpResponse:
    """List the user's own exports, and take the order for a new one."""
    if request.method == "POST" and not request.user.has_perm(ADD):
        return refuse(request, ADD)
    form = LedgerExportForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        form.instance.asked_by = request.user
        record = form.save()
        queue_export(record)
        return redirect(record)
    own = LedgerExport.objects.filter(asked_by=request.user.pk)
    page = Paginator(own, EXPORTS_PER_PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "now": timezone.now()}
    return render(request, "billing/ledger_exports.html", context, status=422 if form.errors else 200)


@requires(VIEW)
@require_http_methods(["GET", "HEAD", "POST"])
def ledger_export(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one of the user's exports; posting to it starts one again that has stopped."""
    record = _own(request, pk)
    may_start = record.state != LedgerExport.State.SUCCEEDED and (
        not record.run_id or record.state == LedgerExport.State.FAILED
    )
    if request.method == "POST":
        if not request.user.has_perm(ADD):
            return refuse(request, ADD)
        if may_start:
            queue_export(record)
        return redirect(record)
    context = {"export": record, "may_start": may_start, "is_over": _is_over(record)}
    return render(request, "billing/ledger_export.html", context)


@requires(VIEW)
@require_safe
def ledger_export_file(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Hand over the file of one of the user's exports, while its time lasts."""
    record = _own(request, pk)
    if record.state != LedgerExport.State.SUCCEEDED:
        return redirect(record)
    file = None if _is_over(record) else _opened(record)
    if file is None:
        return render(request, "billing/ledger_export.html", {"export": record, "is_over": True}, status=410)
    name = f"ledger-{record.period_start}-{record.period_end}.{record.format}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(record.file.size),
        "Content-Type": CONTENT_TYPES[record.format],
        "Cache-Control": "private, no-store",
    }
    if request.method == "HEAD":  # nobody would read the chunks, and so close the file
        file.close()
        return HttpResponse(headers=headers)
    return StreamingHttpResponse(_chunks(file), headers=headers)


def _opened(record: LedgerExport) -> File | None:
    try:
        return record.file.open("rb")
    except OSError:
        return None


def _own(request: HttpRequest, pk: int) -> LedgerExport:
    return get_object_or_404(LedgerExport, pk=pk, asked_by=request.user.pk)


def _is_over(record: LedgerExport) -> bool:
    is_late = record.expires_at is not None and record.expires_at <= timezone.now()
    return record.state == LedgerExport.State.SUCCEEDED and (is_late or not record.file)


async def _chunks(file: Any) -> AsyncIterator[bytes]:
    """Under ASGI Django would read all of a synchronous iterator into memory first."""
    with file:
        while chunk := await sync_to_async(file.read)(CHUNK_BYTES):
            yield chunk
