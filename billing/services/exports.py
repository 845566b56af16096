"""A ledger of a period as a file, which whoever asked for it can fetch for a day."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path

from django.core.files import File
from django.utils import timezone

from billing.ledger_files import WRITERS
from billing.models import LedgerExport
from billing.models.states import fail
from billing.services import ledger
from billing.services.ledger import Row

LINK_HOURS = 24
#: Rows between two calls of `on_row`.
TOLD_ROWS = 1_000
#: What begins the name of a directory that a killed worker may leave behind.
DIRECTORY_PREFIX = "billing-export-"


def rows_of(export_id: int) -> int:
    """How many rows an export will have."""
    record = LedgerExport.objects.get(pk=export_id)
    return ledger.count(record.period_start, record.period_end)


def make(export_id: int, on_row: Callable[[int], object] = lambda number: None) -> LedgerExport:
    """Write the export's file and store it; one that is there already stays as it is. `on_row` hears how many are done.

    The file is made aside and stored whole, and the row tells of it last: whoever is killed on the way leaves nothing
    that could be fetched, and of two at once one file remains.
    """
    record = LedgerExport.objects.get(pk=export_id)
    unfinished = LedgerExport.objects.filter(pk=export_id).exclude(state=LedgerExport.State.SUCCEEDED)
    if not unfinished.update(state=LedgerExport.State.RUNNING, error=""):
        return record
    with tempfile.TemporaryDirectory(prefix=DIRECTORY_PREFIX) as directory:
        path = Path(directory) / f"ledger.{record.format}"
        rows = ledger.rows(record.period_start, record.period_end)
        row_count = WRITERS[record.format](path, _told(rows, on_row))
        on_row(row_count)
        with path.open("rb") as file:
            record.file.save(f"ledger-{record.pk}.{record.format}", File(file), save=False)
    is_ours = unfinished.update(
        state=LedgerExport.State.SUCCEEDED,
        file=record.file.name,
        row_count=row_count,
        expires_at=timezone.now() + timedelta(hours=LINK_HOURS),
        error="",
    )
    if not is_ours:
        record.file.storage.delete(str(record.file.name))
    record.refresh_from_db()
    return record


def note_failure(export_id: int, error: BaseException) -> None:
    """Show on the export that its run ended before the file was there; it can be started again."""
    fail(LedgerExport.objects.filter(pk=export_id), error)


def _told(rows: Iterable[Row], on_row: Callable[[int], object]) -> Iterator[Row]:
    for number, row in enumerate(rows, start=1):
        yield row
        if number % TOLD_ROWS == 0:
            on_row(number)
