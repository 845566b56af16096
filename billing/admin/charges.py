"""Charges and their imports in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from billing.admin.base import ShownOnly, money, run_link
from billing.models import Charge, ChargeImport, RejectedLine
from billing.services.charges import billing_lines


@admin.register(Charge)
class ChargeAdmin(admin.ModelAdmin):
    """Charges; one that was imported or is billed stays as it is."""

    list_display = ["day", "customer", "quantity", money("amount", _("amount")), "description", "source", "line"]
    list_filter = ["currency", ("source", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["customer", "source"]
    search_fields = ["customer__number", "customer__name", "description"]
    date_hierarchy = "day"
    autocomplete_fields = ["customer"]
    readonly_fields = ["source", "line"]
    show_full_result_count = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only a charge that was entered by hand and is not billed."""
        return super().has_change_permission(request, obj) and _is_free(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only a charge that was entered by hand and is not billed."""
        return super().has_delete_permission(request, obj) and _is_free(obj)


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
        money("amount_total", _("total")),
        run_link(),
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


def _is_free(charge: Charge | None) -> bool:
    return charge is None or (charge.source_id is None and not billing_lines().filter(charge=charge).exists())
