"""Invoices, their runs, numbers and rates in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from billing.admin.base import RUN, ShownLines, ShownOnly, money, run_link, show_run
from billing.models import (
    Invoice,
    InvoiceLine,
    InvoiceRun,
    InvoiceRunFailure,
    InvoiceRunPart,
    NumberSequence,
    TaxRate,
)


class InvoiceLines(ShownLines):
    """The lines of an invoice."""

    model = InvoiceLine
    fields = ["position", "day", "description", "quantity", "tax_percent", "net", "tax", "released"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[InvoiceLine]:
        """Read each line's invoice with it, as its name shows that."""
        return super().get_queryset(request).select_related("invoice")


@admin.register(Invoice)
class InvoiceAdmin(ShownOnly):
    """Invoices and credit notes."""

    list_display = [
        "__str__",
        "kind",
        "state",
        "customer",
        "issued_on",
        "due_on",
        money("gross", _("total")),
        money("paid", _("paid")),
        "disputed",
        "invoice_run",
        run_link("pdf_run_id", _("run that makes the PDF")),
    ]
    list_filter = ["state", "kind", "currency", "disputed", "issued_on"]
    list_select_related = ["customer", "invoice_run"]
    search_fields = ["number", "customer__number", "customer__name", "pdf_run_id"]
    date_hierarchy = "issued_on"
    inlines = [InvoiceLines]


@admin.register(InvoiceLine)
class InvoiceLineAdmin(ShownOnly):
    """Lines of invoices."""

    list_display = ["invoice", "position", "day", "description", "quantity", "tax_percent", "net_money", "tax_money"]
    list_filter = ["released", "tax_percent"]
    list_select_related = ["invoice"]
    search_fields = ["invoice__number", "description"]
    date_hierarchy = "day"

    @admin.display(description=_("net"), ordering="net")
    def net_money(self, line: InvoiceLine) -> str:
        """The line's sum, in the currency of its invoice."""
        return f"{line.net:,.2f} {line.invoice.currency}"

    @admin.display(description=_("tax"), ordering="tax")
    def tax_money(self, line: InvoiceLine) -> str:
        """The line's tax, in the currency of its invoice."""
        return f"{line.tax:,.2f} {line.invoice.currency}"


class InvoiceRunParts(ShownLines):
    """The parts of a run."""

    model = InvoiceRunPart
    fields = ["number", "state", "customer_count", "error", "run"]
    readonly_fields = ["run"]

    @admin.display(description=RUN)
    def run(self, part: InvoiceRunPart) -> str:
        """A link to the part's run."""
        return show_run(part.run_id)

    def get_queryset(self, request: HttpRequest) -> QuerySet[InvoiceRunPart]:
        """Read each part's run with it, as its name shows that."""
        return super().get_queryset(request).select_related("invoice_run")


@admin.register(InvoiceRun)
class InvoiceRunAdmin(ShownOnly):
    """Invoice runs."""

    list_display = [
        "__str__",
        "state",
        "cut_off",
        "created_by",
        "created_at",
        "confirmed_by",
        "confirmed_at",
        run_link(),
        run_link("mail_run_id", _("run that sends all")),
    ]
    list_filter = ["state", "created_at"]
    list_select_related = ["created_by", "confirmed_by"]
    search_fields = ["created_by__username", "confirmed_by__username", "run_id", "mail_run_id"]
    date_hierarchy = "created_at"
    inlines = [InvoiceRunParts]


@admin.register(InvoiceRunPart)
class InvoiceRunPartAdmin(ShownOnly):
    """Parts of invoice runs."""

    list_display = ["invoice_run", "number", "state", "customer_count", "error", run_link()]
    list_filter = ["state"]
    list_select_related = ["invoice_run"]
    search_fields = ["run_id", "error"]


@admin.register(InvoiceRunFailure)
class InvoiceRunFailureAdmin(ShownOnly):
    """Whom a run could not bill."""

    list_display = ["invoice_run", "customer", "reason"]
    list_filter = [("invoice_run", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["invoice_run", "customer"]
    search_fields = ["customer__number", "customer__name", "reason"]


@admin.register(NumberSequence)
class NumberSequenceAdmin(ShownOnly):
    """Numbers given; a change would make a hole, or give one twice."""

    list_display = ["kind", "year", "last"]
    list_filter = ["kind", "year"]
    search_fields = ["kind"]


@admin.register(TaxRate)
class TaxRateAdmin(admin.ModelAdmin):
    """Tax rates: a new one begins on a day, and the ones before it stay."""

    list_display = ["country", "since", "percent"]
    list_filter = ["country"]
    search_fields = ["country"]
    date_hierarchy = "since"
