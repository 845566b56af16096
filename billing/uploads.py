"""Takes an uploaded file in: looks at it once, stores it, and knows a file that came before."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from billing.formats import FORMATS, Format
from billing.lines import MAX_LINE_BYTES
from billing.models import BankImport, ChargeImport

MAX_FILE_MIB = 50
Import = TypeVar("Import", ChargeImport, BankImport)
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Inspected(NamedTuple):
    """What one pass over an upload shows."""

    file: UploadedFile
    format: Format
    sha256: str
    lines: int


class Measured(NamedTuple):
    """What a file is by its content."""

    sha256: str
    lines: int


def inspect(file: UploadedFile) -> Inspected:
    """Look at the whole file in chunks; a file that cannot be imported is a ValidationError that says why."""
    measured = measure(file, MAX_FILE_MIB)
    found = _format_of(header_of(file))
    if measured.lines < 2:
        raise ValidationError(_("The file holds a header and no purchases."))
    return Inspected(file, found, *measured)


def measure(file: UploadedFile, limit_mib: int) -> Measured:
    """Count and hash a file in chunks; one above the limit is a ValidationError before it is read."""
    if (file.size or 0) > limit_mib * 2**20:
        size_mib = (file.size or 0) // 2**20
        raise ValidationError(
            _("The file has %(size)d MiB, and %(limit)d are allowed: split it, each part with the header.")
            % {"size": size_mib, "limit": limit_mib}
        )
    digest, lines, last = hashlib.sha256(), 0, b""
    for chunk in file.chunks():
        digest.update(chunk)
        lines += chunk.count(b"\n")
        last = chunk[-1:]
    return Measured(digest.hexdigest(), lines + (last not in (b"\n", b"")))


def header_of(file: UploadedFile) -> bytes:
    """The first line of a text file without its end; what is no text that we read is a ValidationError."""
    file.seek(0)
    head = file.read(MAX_LINE_BYTES)
    if head.startswith(UTF_16):
        raise ValidationError(
            _("The file is UTF-16 text, and UTF-8 was expected. Save it as UTF-8 and upload it again.")
        )
    if b"\0" in head:
        raise ValidationError(_("The file is not text. Upload it as CSV, not as a spreadsheet or an archive."))
    return head.partition(b"\n")[0].rstrip(b"\r")


def _format_of(header: bytes) -> Format:
    for known in FORMATS.values():
        if known.has_header(header):
            return known
    raise ValidationError(
        _("The first line must name the columns: %(csv)s, or %(cdnow)s separated by spaces. It reads: %(header)s")
        % {
            "csv": ",".join(FORMATS["csv"].columns),
            "cdnow": " ".join(FORMATS["cdnow"].columns),
            "header": header[:80].decode(errors="backslashreplace"),
        }
    )


def receive(found: Inspected, user: Any) -> tuple[ChargeImport, bool]:
    """Store an inspected file; a file that is known already is given back as it is, with False."""
    record = ChargeImport(
        sha256=found.sha256,
        format=found.format.name,
        currency=found.format.currency,
        lines_total=found.lines,
        uploaded_by=user,
    )
    return keep(record, found.file, "txt")


def keep(record: Import, file: UploadedFile, suffix: str) -> tuple[Import, bool]:
    """Store an upload and its row, which is known by its content; one that was there before is returned, with False."""
    others: QuerySet[Any] = type(record)._default_manager.filter(sha256=record.sha256)
    if known := others.first():
        return known, False
    record.name = (file.name or "")[:255]
    _store(record, file, suffix)
    try:
        with transaction.atomic():
            record.save(force_insert=True)
    except IntegrityError:  # the same file came twice in one moment, and the other one was first
        record.file.delete(save=False)
        return others.get(), False
    return record, True


def _store(record: ChargeImport | BankImport, file: UploadedFile, suffix: str) -> None:
    try:
        record.file.save(f"{record.sha256}.{suffix}", file, save=False)
    except OSError as error:
        raise ValidationError(_("The file could not be stored: %s.") % (error.strerror or error)) from error
