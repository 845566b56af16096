"""Ledger exports in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from billing.admin.base import ShownOnly, run_link
from billing.models import LedgerExport


@admin.register(LedgerExport)
class LedgerExportAdmin(ShownOnly):
    """Ledger exports; their files are for who asked for them."""

    list_display = ["__str__", "state", "asked_by", "asked_at", "row_count", "expires_at", "error", run_link()]
    list_filter = ["state", "format", "asked_at"]
    list_select_related = ["asked_by"]
    search_fields = ["asked_by__username", "run_id"]
    date_hierarchy = "asked_at"
    exclude = ["file"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An export may go, alone or with its user."""
        return admin.ModelAdmin.has_delete_permission(self, request, obj)
