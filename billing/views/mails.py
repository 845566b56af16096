"""The pages of e-mails: sending, the list, and what a person decides about one."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from billing.exceptions import MailDecidedError, MailRefusedError
from billing.forms_mails import MailFilter
from billing.models import Invoice, InvoiceRun, Mail
from billing.services import mails as verbs
from billing.tasks.mails import queue_invoice_run, send_again, send_invoice
from billing.views.access import requires

MAILS_PER_PAGE = 50


@requires("billing.view_mail")
@require_safe
def mails(request: HttpRequest) -> HttpResponse:
    """List e-mails, newest first: all, or those in a state, or a customer's."""
    form = MailFilter(request.GET)
    page = Paginator(form.found(), MAILS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "billing/mails.html", {"form": form, "page": page})


@requires("billing.view_mail")
@require_safe
def mail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one e-mail: its run while it lasts, what became of it, and what is to be decided."""
    record = get_object_or_404(Mail.objects.select_related("customer", "invoice", "asked_by"), pk=pk)
    return render(request, "billing/mail.html", {"mail": record})


@requires("billing.change_mail")
@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a person's word: an unclear one went out, or is to be sent (again)."""
    record = get_object_or_404(Mail.objects.select_related("customer", "invoice"), pk=pk)
    decision = request.POST.get("decision")
    if decision not in ("sent", "again"):
        return HttpResponseBadRequest("A decision is sent or again.", content_type="text/plain")
    try:
        if decision == "again":
            return redirect(send_again(record, request.user))
        verbs.decide(record.pk, request.user, was_sent=True)
    except (MailDecidedError, MailRefusedError) as error:
        messages.info(request, str(error))
    return redirect(record)


@requires("billing.change_invoice")
@require_POST
def send(request: HttpRequest, pk: int) -> HttpResponse:
    """Send an invoice to its customer, unless that was done before."""
    invoice = get_object_or_404(Invoice.objects.select_related("customer"), pk=pk)
    try:
        sent = send_invoice(invoice, request.user)
    except MailRefusedError as error:
        messages.error(request, str(error))
        return redirect(invoice)
    except ValidationError:
        messages.error(
            request, _("%(customer)s has no e-mail address that one can send to.") % {"customer": invoice.customer}
        )
        return redirect(invoice)
    if sent.may_be_repeated:
        messages.info(request, _("This e-mail was asked for before; on its own page you can send another copy."))
        return redirect(sent)
    return redirect(invoice)


@requires("billing.change_invoice")
@require_POST
def send_run(request: HttpRequest, pk: int) -> HttpResponse:
    """Send all invoices of an invoice run that were not sent yet."""
    record = get_object_or_404(InvoiceRun, pk=pk)
    queue_invoice_run(record, request.user.pk)
    return redirect(record)
