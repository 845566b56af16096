"""An invoice's PDF: fetched, or made by a run."""

from __future__ import annotations

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from billing.models import Invoice
from billing.tasks.documents import queue_pdf
from billing.views.access import requires


@require_http_methods(["GET", "HEAD", "POST"])
def invoice_pdf(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send the stored PDF; POST makes it."""
    return _make(request, pk) if request.method == "POST" else _fetch(request, pk)


@requires("billing.view_invoice")
def _fetch(request: HttpRequest, pk: int) -> HttpResponseBase:
    invoice = get_object_or_404(Invoice, pk=pk)
    try:
        file = invoice.pdf.open("rb")
    except (OSError, ValueError):  # ValueError: there is none
        messages.error(request, _("Invoice %(number)s has no PDF yet.") % {"number": invoice})
        return redirect(invoice)
    answer = FileResponse(file, as_attachment=True, filename=f"{invoice}.pdf", content_type="application/pdf")
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


@requires("billing.change_invoice")
def _make(request: HttpRequest, pk: int) -> HttpResponse:
    invoice = get_object_or_404(Invoice, pk=pk)
    if invoice.number is None:
        messages.error(request, _("A draft has no PDF; issue the invoice first."))
    elif not invoice.has_pdf:
        queue_pdf(invoice)
    return redirect(invoice)
