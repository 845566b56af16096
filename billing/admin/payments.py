"""Payments and the bank's files in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from billing.admin.base import ShownOnly, money, run_link
from billing.models import BankImport, BankLine, Payment


@admin.register(Payment)
class PaymentAdmin(ShownOnly):
    """Payments, which their invoices count."""

    list_display = [
        "day",
        "customer",
        money("amount", _("amount")),
        "invoice",
        "reference",
        "bank_line",
        "entered_by",
        "entered_at",
    ]
    list_filter = ["currency", "day"]
    list_select_related = ["customer", "invoice", "bank_line__source", "entered_by"]
    search_fields = ["customer__number", "customer__name", "invoice__number", "reference"]
    date_hierarchy = "day"


@admin.register(BankImport)
class BankImportAdmin(ShownOnly):
    """The bank's files."""

    list_display = ["name", "state", "uploaded_by", "uploaded_at", "error", run_link()]
    list_filter = ["state", "uploaded_at"]
    list_select_related = ["uploaded_by"]
    search_fields = ["name", "sha256", "run_id", "uploaded_by__username"]
    date_hierarchy = "uploaded_at"


@admin.register(BankLine)
class BankLineAdmin(ShownOnly):
    """Lines of the bank's files."""

    list_display = ["source", "line", "state", "day", money("amount", _("amount")), "payer", "reference", "reason"]
    list_filter = ["state", "currency"]
    list_select_related = ["source"]
    search_fields = ["source__name", "payer", "reference", "booking_key"]
    date_hierarchy = "day"
