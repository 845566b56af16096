"""What several tables share: read-only ones, money with its currency, and links to runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from billing.money import Money

RUN = _("run")


class ShownOnly(admin.ModelAdmin):
    """A table that only services write."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody adds here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody changes here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody deletes here."""
        return False


class ShownLines(admin.TabularInline):
    """Rows on the page of what they belong to, which only services write."""

    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody adds here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody changes here."""
        return False


def money(name: str, label: Any) -> Callable[[Any], str]:
    """Make a column of a field of money that shows its currency, and that sorts."""

    @admin.display(description=label, ordering=name)
    def shown(record: Any) -> str:
        amount = getattr(record, name)
        return "–" if amount is None else str(Money(amount, record.currency))

    return shown


def run_link(name: str = "run_id", label: Any = RUN) -> Callable[[Any], str]:
    """Make a column that leads to the run whose id a field holds."""

    @admin.display(description=label, ordering=name)
    def shown(record: Any) -> str:
        return show_run(getattr(record, name))

    return shown


def show_run(run_id: str) -> str:
    """Draw a link to a run, by the beginning of its id."""
    return format_html('<a href="{}">{}</a>', reverse("live:run", args=[run_id]), run_id[:8]) if run_id else "–"
