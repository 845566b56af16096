"""E-mails, reminders and statements in the admin."""

from __future__ import annotations

from django.contrib import admin

from billing.admin.base import ShownOnly, run_link
from billing.models import Mail, Reminder, Statement


@admin.register(Mail)
class MailAdmin(ShownOnly):
    """E-mails, which only a worker sends and only their page decides about."""

    list_display = [
        "kind",
        "address",
        "state",
        "delivery",
        "customer",
        "invoice",
        "number",
        "tries",
        "error",
        "created_at",
        run_link(),
    ]
    list_filter = ["state", "kind", "delivery", "created_at"]
    list_select_related = ["customer", "invoice"]
    search_fields = ["address", "customer__number", "customer__name", "invoice__number", "message_id", "run_id"]
    date_hierarchy = "created_at"


@admin.register(Reminder)
class ReminderAdmin(ShownOnly):
    """Reminders."""

    list_display = ["invoice", "step", "made_on"]
    list_filter = ["step", "made_on"]
    list_select_related = ["invoice"]
    search_fields = ["invoice__number"]
    date_hierarchy = "made_on"


@admin.register(Statement)
class StatementAdmin(ShownOnly):
    """Statements."""

    list_display = ["customer", "month", "made_on"]
    list_filter = ["month"]
    list_select_related = ["customer"]
    search_fields = ["customer__number", "customer__name"]
    date_hierarchy = "month"
