"""Where a file is that a run reads or writes."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

MAX_ERROR_CHARS = 500


class WorkState(models.TextChoices):
    """Where an import or export is."""

    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("running")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")


def fail(records: models.QuerySet[Any], error: BaseException, **fields: Any) -> None:
    """Show on those that have not succeeded that their run ended before they did; they can be started again."""
    text = f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARS]
    records.exclude(state=WorkState.SUCCEEDED).update(state=WorkState.FAILED, error=text, **fields)
