"""Files as a whole: taken in once, or refused with a sentence."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.db import connection

from billing import uploads
from billing.models import ChargeImport
from tests.billing.files import CDNOW_HEADER, CSV_HEADER

GOOD_LINE = b"1,19970101,1,2.00,a\n"
GIB = 2**30


def inspected(content: bytes) -> uploads.Inspected:
    return uploads.inspect(SimpleUploadedFile("march.csv", content))


def stored(record: ChargeImport) -> bytes:
    with record.file.open("rb") as file:
        return file.read()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (CSV_HEADER, "a header and no purchases"),
        ((CSV_HEADER + GOOD_LINE).decode().encode("utf-16"), "UTF-16"),
        ((CSV_HEADER + GOOD_LINE).decode().encode("utf-16-le"), "not text"),
        (b"PK\x03\x04\x14\0\0\0", "not text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not text"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "It reads: %PDF-1.7"),
        (b"<!doctype html>\n<p>", "It reads: &lt;!doctype|It reads: <!doctype"),
        (GOOD_LINE * 2, "The first line must name the columns"),
        (CSV_HEADER.replace(b",", b";") + GOOD_LINE, "customer_id;date;quantity"),
        ((CSV_HEADER + GOOD_LINE).replace(b"\n", b"\r"), "The first line must name the columns"),
        (b"\xe9\xe8\n1", "xe9.*xe8"),
        (b"\n" + CSV_HEADER + GOOD_LINE, "The first line must name the columns"),
        (b"x" * 100_000, "x{80}"),
    ],
)
def test_a_file_that_is_no_such_thing_is_refused_with_a_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        inspected(content)


def test_a_file_of_a_gibibyte_is_refused_without_being_read() -> None:
    class Unreadable(BytesIO):
        def read(self, *args: Any) -> bytes:
            raise AssertionError("the file was read")

    with pytest.raises(ValidationError, match="The file has 1024 MiB, and 50 are allowed"):
        uploads.inspect(UploadedFile(Unreadable(), "huge.csv", size=GIB))


@pytest.mark.parametrize(
    ("content", "format", "lines"),
    [
        (CSV_HEADER + GOOD_LINE, "csv", 2),
        (CSV_HEADER + GOOD_LINE.rstrip(), "csv", 2),
        (b"\xef\xbb\xbf" + CSV_HEADER + GOOD_LINE, "csv", 2),
        ((CSV_HEADER + GOOD_LINE * 2).replace(b"\n", b"\r\n"), "csv", 3),
        (CDNOW_HEADER + b" 00001 19970101  1   11.77\r\n", "cdnow", 2),
    ],
)
def test_a_good_file_is_known_by_its_header_and_its_content(content: bytes, format: str, lines: int) -> None:
    found = inspected(content)

    assert (found.format.name, found.lines, found.sha256) == (format, lines, hashlib.sha256(content).hexdigest())


def test_the_same_content_under_another_name_is_the_same_import(make_import: Callable[..., Any], clerk: Any) -> None:
    first = make_import(CSV_HEADER + GOOD_LINE, name="march.csv")

    second, is_new = uploads.receive(inspected(CSV_HEADER + GOOD_LINE), clerk)

    assert (second, is_new) == (first, False)
    assert ChargeImport.objects.count() == 1


def test_a_stored_file_is_the_upload_to_the_byte_under_a_name_of_ours(make_import: Callable[..., Any]) -> None:
    content = CSV_HEADER + GOOD_LINE * 5_000

    record = make_import(content, name="../../etc/passwd")

    assert record.name == "passwd"
    assert record.sha256 in record.file.name
    assert stored(record) == content


@pytest.mark.django_db(transaction=True)
def test_the_same_file_from_four_people_in_one_moment_is_one_import(
    clerk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = CSV_HEADER + GOOD_LINE * 50
    together, real = threading.Barrier(4), uploads._store
    seen: list[tuple[int, bool]] = []

    def store_together(record: ChargeImport, file: UploadedFile, suffix: str) -> None:
        together.wait(timeout=10)  # by now each has seen that the file is new
        real(record, file, suffix)

    def upload() -> None:
        record, is_new = uploads.receive(inspected(content), clerk)
        seen.append((record.pk, is_new))
        connection.close()

    monkeypatch.setattr(uploads, "_store", store_together)
    threads = [threading.Thread(target=upload) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    record = ChargeImport.objects.get()
    assert sorted(seen) == [(record.pk, False)] * 3 + [(record.pk, True)]
    assert stored(record) == content
    _, kept = record.file.storage.listdir("billing/imports")
    assert sum(record.sha256 in name for name in kept) == 1
