"""Customers in the admin."""

from __future__ import annotations

from django.contrib import admin

from billing.forms_customers import CustomerForm
from billing.models import Customer


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    """Customers, checked as on their own page."""

    form = CustomerForm
    list_display = ["number", "name", "email", "country", "language", "currency", "payment_days", "created_at"]
    list_filter = ["language", "currency", "country"]
    search_fields = ["number", "name", "email", "vat_id"]
    date_hierarchy = "created_at"
    show_full_result_count = False
