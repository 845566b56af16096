"""Runs in Django's admin: to look at and to search, never to change; the recorder is the only writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from live import queries
from live.models import Attempt, Run

if TYPE_CHECKING:
    _Inline = admin.TabularInline[Attempt, Run]
    _Admin = admin.ModelAdmin[Run]
else:  # Django's own classes take no parameters
    _Inline, _Admin = admin.TabularInline, admin.ModelAdmin


class ReadOnly:
    """What nobody adds, changes or deletes by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """No."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """No."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """No."""
        return False


class AttemptInline(ReadOnly, _Inline):
    """The tries of a run, on its page."""

    model = Attempt
    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Who may see the run may see its attempts."""
        return request.user.has_perm("live.view_run")


@admin.register(Run)
class RunAdmin(ReadOnly, _Admin):
    """Runs with their attempts. Staff without `live.view_all_runs` find their own here, as everywhere."""

    list_display = ("__str__", "task", "state", "kind", "owner", "worker", "queued_at", "finished_at")
    list_filter = ("state", "kind", "queue")
    search_fields = ("title", "task", "id")
    date_hierarchy = "queued_at"
    ordering = ("-queued_at", "id")
    inlines = (AttemptInline,)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """Return the runs that the user may see."""
        visible = queries.visible(queries.Viewer.of(request.user))
        return super().get_queryset(request).filter(pk__in=visible.values("pk"))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """No actions: there is nothing to do here."""
        return {}
