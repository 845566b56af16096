"""Removes files that nobody can fetch any more; never one that a row points at, unless its time is over."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from django.apps import apps
from django.core.files.storage import Storage
from django.db.models import FileField
from django.utils import timezone

from billing.models import LedgerExport
from billing.services import exports

logger = logging.getLogger(__name__)

#: Days after which a file without a row is no upload that is still being stored.
ORPHAN_DAYS = 7


class Cleaned(NamedTuple):
    """How many files went, and how many directories that killed exports had left."""

    expired: int
    orphaned: int
    directories: int


def clean_up(now: datetime | None = None) -> Cleaned:
    """Remove expired exports' files and orphans; what is gone already is no error, so it may run at any time."""
    now = now or timezone.now()
    orphaned = sum(_remove_orphans(field, now) for field in _file_fields())
    cleaned = Cleaned(_remove_expired(now), orphaned, _remove_directories(now))
    logger.info("Old files were removed.", extra={"action": "files_cleaned", **cleaned._asdict()})
    return cleaned


def _remove_expired(now: datetime) -> int:
    count = 0
    for export in LedgerExport.objects.filter(expires_at__lte=now).exclude(file=""):
        # The row first: a file that is left without a row is an orphan, and goes as such.
        LedgerExport.objects.filter(pk=export.pk).update(file="")
        export.file.storage.delete(str(export.file.name))
        count += 1
    return count


def _remove_directories(now: datetime) -> int:
    """Remove what killed exports left on this machine; one that runs is far younger."""
    count = 0
    for path in Path(tempfile.gettempdir()).glob(f"{exports.DIRECTORY_PREFIX}*"):
        with suppress(FileNotFoundError):  # another clean-up was first
            if path.stat().st_mtime < (now - timedelta(days=1)).timestamp() and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
                count += 1
    return count


def _file_fields() -> Iterator[FileField]:
    """Each field of billing's that keeps files in a directory of its own."""
    for model in apps.get_app_config("billing").get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, FileField) and isinstance(field.upload_to, str) and field.upload_to:
                yield field


def _remove_orphans(field: FileField, now: datetime) -> int:
    oldest_kept = now - timedelta(days=ORPHAN_DAYS)
    count = 0
    for name in list(_names(field.storage, str(field.upload_to).rstrip("/"))):
        with suppress(FileNotFoundError):  # another clean-up was first
            is_old = field.storage.get_modified_time(name) < oldest_kept
            if is_old and not field.model._default_manager.filter(**{field.name: name}).exists():
                field.storage.delete(name)
                count += 1
    return count


def _names(storage: Storage, directory: str) -> Iterator[str]:
    """The names of all files of a directory and those below it; one that is not there is empty."""
    if not storage.exists(directory):
        return
    directories, files = storage.listdir(directory)
    yield from (f"{directory}/{name}" for name in files)
    for name in directories:
        yield from _names(storage, f"{directory}/{name}")
