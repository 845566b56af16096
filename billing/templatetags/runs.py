"""Whether a page may draw a run's live box for its reader."""

from __future__ import annotations

from typing import Any

from django import template
from django.apps import apps

register = template.Library()


@register.filter
def is_hidden_from(run_id: str, user: Any) -> bool:
    """Whether a run is known and not the user's to see: its box would wait for news for ever.

    A run that is not recorded yet hides from nobody.
    """
    if user.has_perm("live.view_all_runs"):
        return False
    # By name, as `live` hands out no question about one run.
    found = apps.get_model("live", "Run")._default_manager.filter(pk=run_id)
    return found.exclude(owner=user.get_username()).exists()
