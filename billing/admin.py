"""Billing's tables in the admin: imported rows are shown, not edited, as their counts must stay true."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from billing.models import Charge, ChargeImport, Customer, RejectedLine


class ShownOnly(admin.ModelAdmin):
    """A table that only services write."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody changes here."""
        return False


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    """Customers."""

    list_display = ["number"]
    search_fields = ["number"]
    show_full_result_count = False


@admin.register(Charge)
class ChargeAdmin(admin.ModelAdmin):
    """Charges; where an imported one came from cannot be changed."""

    list_display = ["day", "customer", "quantity", "amount", "currency", "description", "source", "line"]
    list_filter = ["currency", ("source", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["customer", "source"]
    search_fields = ["customer__number", "description"]
    date_hierarchy = "day"
    autocomplete_fields = ["customer"]
    readonly_fields = ["source", "line"]
    show_full_result_count = False


@admin.register(ChargeImport)
class ChargeImportAdmin(ShownOnly):
    """Imports."""

    list_display = [
        "name",
        "state",
        "uploaded_by",
        "uploaded_at",
        "charge_count",
        "rejected_count",
        "amount_total",
        "currency",
    ]
    list_filter = ["state", "format", "uploaded_at"]
    list_select_related = ["uploaded_by"]
    search_fields = ["name", "sha256", "run_id", "uploaded_by__username"]
    date_hierarchy = "uploaded_at"


@admin.register(RejectedLine)
class RejectedLineAdmin(ShownOnly):
    """Lines that were not billed."""

    list_display = ["source", "line", "reason", "text"]
    list_filter = ["reason"]
    list_select_related = ["source"]
    search_fields = ["source__name", "text"]
    show_full_result_count = False
