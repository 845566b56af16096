"""Old files go; what a row points at, and what may still be on its way to a row, stays."""

from __future__ import annotations

import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from billing.models import BankImport, LedgerExport
from billing.services import cleaning, exports
from tests.billing.bank_files import content, receive


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A storage, and a place for temporary files, that hold this test's files only."""
    settings.MEDIA_ROOT = str(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path


def put(media: Path, name: str, days_old: float) -> Path:
    path = media / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    age(path, days_old)
    return path


def age(path: Path, days: float) -> None:
    moment = (timezone.now() - timedelta(days=days)).timestamp()
    os.utime(path, (moment, moment))


def export(user: Any, expires_in_h: float) -> LedgerExport:
    record = LedgerExport(
        format="csv", period_start="2026-01-01", period_end="2026-01-31", asked_by=user, state="succeeded"
    )
    record.expires_at = timezone.now() + timedelta(hours=expires_in_h)
    record.file.save("ledger.csv", ContentFile(b"x"), save=False)
    record.save()
    return record


def test_an_expired_export_loses_its_file_and_keeps_its_row(clerk: Any) -> None:
    over, fresh = export(clerk, -1), export(clerk, exports.LINK_HOURS)
    over_path, fresh_path = Path(over.file.path), Path(fresh.file.path)

    assert cleaning.clean_up() == cleaning.Cleaned(expired=1, orphaned=0, directories=0)
    assert cleaning.clean_up() == cleaning.Cleaned(expired=0, orphaned=0, directories=0)

    over.refresh_from_db()
    assert (bool(over.file), over_path.exists(), fresh_path.exists()) == (False, False, True)


@pytest.mark.parametrize(
    "name", ["billing/bank/a.csv", "billing/imports/a.txt", "billing/exports/a.csv", "billing/invoices/2026/a.pdf"]
)
def test_a_file_that_no_row_points_at_goes_when_it_is_old(db: None, media: Path, name: str) -> None:
    old = put(media, name, cleaning.ORPHAN_DAYS + 0.1)
    young = put(media, name + "2", cleaning.ORPHAN_DAYS - 0.1)

    assert cleaning.clean_up() == cleaning.Cleaned(expired=0, orphaned=1, directories=0)

    assert (old.exists(), young.exists()) == (False, True)


def test_a_file_that_a_row_points_at_stays_however_old_it_is(clerk: Any) -> None:
    record = receive(content("B1,2026-03-01,1.00,EUR,a,b"), clerk)
    path = Path(record.file.path)
    age(path, 1_000)

    assert cleaning.clean_up() == cleaning.Cleaned(expired=0, orphaned=0, directories=0)
    assert path.exists()

    BankImport.objects.all().delete()
    assert cleaning.clean_up() == cleaning.Cleaned(expired=0, orphaned=1, directories=0)
    assert not path.exists()


def test_files_of_others_are_not_looked_at(db: None, media: Path) -> None:
    other = put(media, "shop/old.txt", 1_000)

    cleaning.clean_up()

    assert other.exists()


def test_what_a_killed_export_left_goes_and_what_a_running_one_needs_stays(db: None, media: Path) -> None:
    left = put(media, f"temporary/{exports.DIRECTORY_PREFIX}old/ledger.csv", 2).parent
    used = put(media, f"temporary/{exports.DIRECTORY_PREFIX}new/ledger.csv", 0).parent
    age(left, 1.1)

    assert cleaning.clean_up().directories == 1
    assert (left.exists(), used.exists()) == (False, True)


def test_what_another_clean_up_removes_in_this_moment_is_no_error(
    db: None, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = media / "temporary" / f"{exports.DIRECTORY_PREFIX}gone"
    gone.symlink_to(media / "nowhere")
    old = put(media, "billing/bank/old.csv", cleaning.ORPHAN_DAYS + 1)
    real = cleaning._names
    monkeypatch.setattr(cleaning, "_names", lambda *args: [f"{args[1]}/gone.csv", *real(*args)])

    assert cleaning.clean_up() == cleaning.Cleaned(expired=0, orphaned=1, directories=0)
    assert not old.exists()
