"""The pages of ledger exports: ordered, watched, and fetched by their owner only, for a day."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient, Client
from django.utils import timezone

from billing.models import LedgerExport
from billing.services import exports
from tests.billing.invoices import make_invoice

LIST = "/billing/ledger-exports/"
ORDER = {"period_start": "2026-02-01", "period_end": "2026-02-28", "format": "csv"}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    """A storage of this test's own."""
    settings.MEDIA_ROOT = str(tmp_path)


@pytest.fixture
def page(clerk: Any, client: Client, redis: Any) -> Client:
    """The clerk's browser."""
    client.force_login(clerk)
    return client


@pytest.fixture
def done(clerk: Any) -> LedgerExport:
    """The clerk's export of February, ready to be fetched."""
    make_invoice(issued_on=date(2026, 2, 1))
    record = LedgerExport.objects.create(
        format="csv", period_start=date(2026, 2, 1), period_end=date(2026, 2, 28), asked_by=clerk
    )
    return exports.make(record.pk)


def file_of(record: LedgerExport) -> str:
    return f"{LIST}{record.pk}/file/"


def test_an_order_leads_to_its_page_which_shows_the_run_at_once(page: Client, redis: Any, clerk: Any) -> None:
    answer = page.post(LIST, ORDER, follow=True)

    record = LedgerExport.objects.get()
    assert answer.redirect_chain == [(record.get_absolute_url(), 302)]
    assert record.run_id in answer.text
    assert "<live-run" in answer.text
    assert "Download" not in answer.text
    assert record.asked_by == clerk
    assert redis.llen("tat:broker:celery") == 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"period_end": "2026-01-31"}, "The last day lies before the first."),
        ({"period_start": "2026-02-30"}, "must be a day that exists"),
        ({"format": "exe"}, "exe is not one of the available choices"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_on_the_page(
    page: Client, values: dict[str, str], sentence: str
) -> None:
    answer = page.post(LIST, {**ORDER, **values})

    assert (answer.status_code, sentence in answer.text) == (422, True)
    assert not LedgerExport.objects.exists()


def test_at_the_end_the_page_offers_the_file(page: Client, done: LedgerExport) -> None:
    text = page.get(done.get_absolute_url()).text

    assert file_of(done) in text
    assert "1 row. Only you can fetch it" in text
    assert file_of(done) in page.get(LIST).text


async def test_the_owner_gets_the_file_in_pieces(done: LedgerExport, clerk: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("billing.views.exports.CHUNK_BYTES", 16)
    client = AsyncClient()
    await client.aforce_login(clerk)

    answer: Any = await client.get(file_of(done))
    pieces = [piece async for piece in answer.streaming_content]

    assert b"".join(pieces) == await sync_to_async(Path(done.file.path).read_bytes)()
    assert max(map(len, pieces)) == 16
    assert answer["Content-Disposition"] == 'attachment; filename="ledger-2026-02-01-2026-02-28.csv"'
    assert answer["Content-Length"] == str(done.file.size)


def test_nobody_else_gets_it_and_nobody_else_sees_it(
    client: Client, other_clerk: Any, manager: Any, done: LedgerExport
) -> None:
    for user in (other_clerk, manager):
        client.force_login(user)

        assert client.get(file_of(done)).status_code == 404
        assert client.get(done.get_absolute_url()).status_code == 404
        assert done.get_absolute_url() not in client.get(LIST).text


def test_without_login_there_is_only_the_login_page(client: Client, done: LedgerExport) -> None:
    assert client.get(file_of(done)).headers["Location"].startswith("/accounts/login/")


def test_after_a_day_the_link_ends_with_a_sentence(page: Client, done: LedgerExport) -> None:
    LedgerExport.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    answer = page.get(file_of(done))

    assert (answer.status_code, "This file is no longer kept" in answer.text) == (410, True)
    assert file_of(done) not in page.get(LIST).text
    assert file_of(done) not in page.get(done.get_absolute_url()).text


def test_a_file_that_was_cleaned_away_ends_the_same_way(page: Client, done: LedgerExport) -> None:
    LedgerExport.objects.update(file="")

    assert page.get(file_of(done)).status_code == 410


def test_a_file_that_is_gone_from_the_disk_ends_the_same_way(page: Client, done: LedgerExport) -> None:
    Path(done.file.path).unlink()

    answer = page.get(file_of(done))

    assert (answer.status_code, "This file is no longer kept" in answer.text) == (410, True)


def test_who_asks_for_the_head_only_gets_it_and_leaves_no_file_open(page: Client, done: LedgerExport) -> None:
    answer = page.head(file_of(done))

    opened = {file.path for file in psutil.Process().open_files()}
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(done.file.size))
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert done.file.path not in opened


def test_a_file_that_is_not_there_yet_leads_to_the_page(page: Client) -> None:
    page.post(LIST, ORDER)
    record = LedgerExport.objects.get()

    assert page.get(file_of(record)).headers["Location"] == record.get_absolute_url()


def test_an_export_that_failed_is_started_again_by_hand(page: Client, redis: Any) -> None:
    page.post(LIST, ORDER)
    record = LedgerExport.objects.get()
    exports.note_failure(record.pk, OSError("No space left on device"))
    assert "No space left on device" in page.get(record.get_absolute_url()).text

    page.post(record.get_absolute_url())

    record.refresh_from_db()
    assert (record.state, record.error, redis.llen("tat:broker:celery")) == ("waiting", "", 2)


def test_an_auditor_is_told_which_right_is_missing_to_export(client: Client, auditor: Any) -> None:
    client.force_login(auditor)

    assert client.get(LIST).status_code == 200
    answer = client.post(LIST, ORDER)

    assert (answer.status_code, "billing.add_ledgerexport" in answer.text) == (403, True)
    assert not LedgerExport.objects.exists()
