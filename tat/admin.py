"""Periodic tasks in the admin, where looking is not acting."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import PeriodicTask


class GuardedPeriodicTaskAdmin(PeriodicTaskAdmin):
    """Lets only those who may change a schedule run, enable or disable it.

    The stock admin offers these actions to staff who may only view.
    """

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions that the user may use; the admin refuses the others, posted by hand too."""
        may_change = self.has_change_permission(request)
        actions: dict[str, Any] = super().get_actions(request)
        return {name: action for name, action in actions.items() if may_change or name not in PeriodicTaskAdmin.actions}


admin.site.unregister(PeriodicTask)
admin.site.register(PeriodicTask, GuardedPeriodicTaskAdmin)
