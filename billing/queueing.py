"""Hands an import to a worker, with a run id that its page knows before the worker does."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError

import live
from billing.models import ChargeImport
from billing.tasks import import_charges


def queue_import(record: ChargeImport) -> bool:
    """Queue a run for the import; False means that the broker does not answer, and the import waits for a person."""
    mine = ChargeImport.objects.filter(pk=record.pk).exclude(state=ChargeImport.State.SUCCEEDED)
    run_id = str(uuid.uuid4())
    try:
        with transaction.atomic():
            mine.update(run_id=run_id, state=ChargeImport.State.WAITING, error="", moved_at=timezone.now())
            import_charges.apply_async_on_commit(
                (record.pk,), task_id=run_id, headers=live.headers(title=_("Import of %s") % record.name)
            )
    except OperationalError:
        mine.filter(run_id=run_id).update(run_id="")
        return False
    return True
