"""PDFs in the storage: whole or not there, made once, fetched by whom may see the invoice."""

from __future__ import annotations

import hashlib
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.test import Client

from billing import pdf
from billing.exceptions import DocumentError
from billing.models import Invoice, Mail
from billing.services import documents, mails
from billing.tasks import make_pdf
from tests.billing.invoices import make_invoice

pytestmark = pytest.mark.django_db(transaction=True)

HALF_BYTES = 8_192


class FullDisk(FileSystemStorage):
    """The kernel refuses to let a file grow beyond some bytes, as on a full disk half of it is written by then."""

    def _save(self, name: str, content: Any) -> str:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (HALF_BYTES, hard))
        try:
            return str(super()._save(name, content))  # type: ignore[misc]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def files(settings: Any, tmp_path: Path) -> Iterator[Callable[[], list[Path]]]:
    """Lists what lies in the storage of this test."""
    settings.MEDIA_ROOT = tmp_path
    yield lambda: [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """No PDF can be written whole, until this is called."""
    field = Invoice._meta.get_field("pdf")
    usual = field.storage  # type: ignore[union-attr]
    monkeypatch.setattr(field, "storage", FullDisk())
    return lambda: monkeypatch.setattr(field, "storage", usual)


@pytest.fixture
def as_clerk(clerk: Any, client: Client, redis: Any) -> Client:
    """The browser of a clerk."""
    client.force_login(clerk)
    return client


def test_it_is_stored_once(files: Callable[[], list[Path]]) -> None:
    invoice = make_invoice()

    stored = documents.store_pdf(invoice.pk)
    again = documents.store_pdf(invoice.pk)

    [path] = files()
    assert path.name == "2026-00001.pdf"
    assert stored.pdf.name == again.pdf.name == "billing/invoices/2026-00001.pdf"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == stored.pdf_sha256
    assert path.read_bytes() == pdf.render(invoice)


def test_a_draft_has_none(files: Callable[[], list[Path]]) -> None:
    draft = make_invoice(state="draft", number=None)

    with pytest.raises(DocumentError, match="draft"):
        documents.store_pdf(draft.pk)

    assert files() == []


def test_on_a_full_disk_no_half_file_stays_and_the_invoice_says_why(
    files: Callable[[], list[Path]], full_disk: Callable[[], None]
) -> None:
    invoice = make_invoice()

    with pytest.raises(DocumentError, match="File too large"):
        documents.store_pdf(invoice.pk)

    assert files() == []
    invoice.refresh_from_db()
    assert not invoice.pdf
    assert "could not be stored: File too large" in invoice.pdf_error

    full_disk()
    assert documents.store_pdf(invoice.pk).pdf_error == ""
    assert len(files()) == 1


def test_a_mail_waits_while_its_pdf_cannot_be_stored(
    files: Callable[[], list[Path]], full_disk: Callable[[], None]
) -> None:
    invoice = make_invoice()
    mail, _ = mails.ask("invoice", "invoice:1", invoice.customer, invoice.customer.email, invoice)

    later, wait_s = mails.deliver(mail.pk)

    assert (later.state, wait_s) == (Mail.State.WAITING, mails.WAITS_S[0])
    assert "File too large" in later.error


def test_killed_while_it_is_written_leaves_no_row_and_the_next_one_writes_it_whole(
    start_process: Callable[[str], subprocess.Popen[str]],
) -> None:
    invoice = make_invoice()
    process = start_process(f"""
import time
from django.core.files.base import ContentFile
from billing.services import documents
def chunks(self, chunk_size=None):
    yield self.read(100)
    print("inside", flush=True)
    time.sleep(60)
ContentFile.chunks = chunks
documents.store_pdf({invoice.pk})
""")
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"

    process.kill()
    process.wait(timeout=20)

    path = Path(invoice.pdf.storage.path("billing/invoices/2026-00001.pdf"))
    assert path.exists()
    invoice.refresh_from_db()
    assert not invoice.pdf
    stored = documents.store_pdf(invoice.pk)
    assert stored.pdf.path == str(path)
    assert path.read_bytes() == pdf.render(invoice)


def test_two_at_once_leave_one_file(files: Callable[[], list[Path]]) -> None:
    invoice = make_invoice()
    both_have_it = threading.Barrier(2, timeout=20)
    real = pdf.render

    def meet(one: Invoice) -> bytes:
        content = real(one)
        both_have_it.wait()
        return content

    def work() -> None:
        documents.store_pdf(invoice.pk)
        connection.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdf, "render", meet)
        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(30)

    [path] = files()
    assert path.read_bytes() == pdf.render(invoice)


def test_who_may_see_the_invoice_gets_the_file_as_a_download(files: Any, as_clerk: Client) -> None:
    invoice = make_invoice()
    address = f"/billing/invoices/{invoice.pk}/pdf/"
    assert as_clerk.get(address).status_code == 302  # there is none yet

    documents.store_pdf(invoice.pk)
    answer: Any = as_clerk.get(address)

    assert b"".join(answer.streaming_content) == pdf.render(invoice)
    answer.close()
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"] == 'attachment; filename="2026-00001.pdf"'
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_refusal_names_the_right(auditor: Any, client: Client) -> None:
    address = f"/billing/invoices/{make_invoice().pk}/pdf/"
    client.force_login(auditor)

    looked, made = client.get(address), client.post(address)

    assert looked.status_code == 302
    assert made.status_code == 403
    assert "change_invoice" in made.text
    auditor.groups.clear()
    refused = client.get(address)
    assert refused.status_code == 403
    assert "view_invoice" in refused.text


def test_asking_for_it_queues_a_run_that_the_invoice_shows(as_clerk: Client) -> None:
    invoice = make_invoice()

    answer = as_clerk.post(f"/billing/invoices/{invoice.pk}/pdf/", follow=True)

    invoice.refresh_from_db()
    assert invoice.pdf_run_id
    assert invoice.pdf_run_id in answer.text


def test_the_run_stores_it(files: Callable[[], list[Path]]) -> None:
    invoice = make_invoice()

    sha256 = make_pdf(invoice.pk)

    [path] = files()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def test_a_file_that_was_lost_is_made_again_as_it_was(files: Callable[[], list[Path]], as_clerk: Client) -> None:
    invoice = make_invoice()
    stored = documents.store_pdf(invoice.pk)
    Path(stored.pdf.path).unlink()
    address = f"/billing/invoices/{invoice.pk}/pdf/"

    assert "Make the PDF" in as_clerk.get(invoice.get_absolute_url()).text
    as_clerk.post(address)
    invoice.refresh_from_db()
    assert invoice.pdf_run_id
    make_pdf(invoice.pk)

    [path] = files()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == stored.pdf_sha256
    assert "Make the PDF" not in as_clerk.get(invoice.get_absolute_url()).text


def test_a_lost_file_is_not_replaced_by_another_one(files: Callable[[], list[Path]], as_clerk: Client) -> None:
    invoice = make_invoice()
    Path(documents.store_pdf(invoice.pk).pdf.path).unlink()
    Invoice.objects.update(pdf_sha256="0" * 64)

    with pytest.raises(DocumentError, match=r"2026-00001\.pdf is lost"):
        documents.store_pdf(invoice.pk)

    assert files() == []
    assert "2026-00001.pdf is lost" in as_clerk.get(invoice.get_absolute_url()).text
