"""A bank's file becomes payments: each booking once, whatever is uploaded twice, killed or run beside itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from billing import bank_formats, uploads
from billing.bank_formats import Booking
from billing.bank_reasons import BankReason
from billing.exceptions import BadBankLineError, PaymentRefusedError
from billing.lines import Line, read_lines, shown
from billing.models import BankImport, BankLine
from billing.models.states import fail
from billing.money import Money
from billing.services import matching, payments

#: A file's bookings without an id are counted in memory.
MAX_FILE_MIB = 10
MAX_PAYER_CHARS = 200
MAX_REFERENCE_CHARS = 500


def check(file: UploadedFile) -> uploads.Measured:
    """Look at the whole file; one that cannot be imported is a ValidationError that says why."""
    measured = uploads.measure(file, MAX_FILE_MIB)
    header = uploads.header_of(file)
    if bank_formats.delimiter_of(header) is None:
        raise ValidationError(
            _("The first line must name the columns %(columns)s, separated by , or ; It reads: %(header)s")
            % {"columns": ",".join(bank_formats.COLUMNS), "header": shown(header, 80)}
        )
    if measured.lines < 2:
        raise ValidationError(_("The file holds a header and no bookings."))
    return measured


def receive(file: UploadedFile, measured: uploads.Measured, user: Any) -> tuple[BankImport, bool]:
    """Store a checked file; a file that is known already is given back as it is, with False."""
    return uploads.keep(BankImport(sha256=measured.sha256, uploaded_by=user), file, "csv")


def lines_of(import_id: int) -> int:
    """How many lines the file of an import has."""
    with BankImport.objects.get(pk=import_id).file.open("rb") as file:
        return sum(1 for _line in read_lines(file, 0, 0))


def run_import(import_id: int, on_line: Callable[[int], object] = lambda number: None) -> Counter[str]:
    """Land what has not landed yet, and return how many lines the file has in each state; `on_line` hears each line."""
    record = BankImport.objects.get(pk=import_id)
    unfinished = BankImport.objects.filter(pk=import_id).exclude(state=BankImport.State.SUCCEEDED)
    if unfinished.update(state=BankImport.State.RUNNING, error=""):
        # A line lands after all lines before it, so the last one tells where to go on.
        landed = record.lines.aggregate(last=Max("line"))["last"] or 0
        payers = matching.Payers()
        for line, judged, content_key in _judged(record):
            if line.number > landed:
                _land_once(record, line, judged, content_key, payers)
            on_line(line.number)
        unfinished.update(state=BankImport.State.SUCCEEDED, error="")
    return Counter(record.lines.order_by().values_list("state", flat=True))


def note_failure(import_id: int, error: BaseException) -> None:
    """Show on the import that its run ended before the file did; it can be started again from where it stopped."""
    fail(BankImport.objects.filter(pk=import_id), error)


def _judged(record: BankImport) -> Iterator[tuple[Line, Booking | BankReason, str]]:
    """Each line with its booking and what identifies that by content, or with what is wrong with it."""
    seen: Counter[str] = Counter()
    with record.file.open("rb") as file:
        lines = read_lines(file, 0, 0)
        delimiter = bank_formats.delimiter_of(next(lines).data)
        if delimiter is None:
            raise ValueError(f"The file of {record} has lost its header.")
        for line in lines:
            if not line.data.strip():
                continue
            try:
                booking = bank_formats.parse(line, delimiter)
            except BadBankLineError as error:
                yield line, error.reason, ""
                continue
            first_key = booking.content_key(1)
            seen[first_key] += 1
            yield line, booking, booking.content_key(seen[first_key])


def _land_once(
    record: BankImport, line: Line, judged: Booking | BankReason, content_key: str, payers: matching.Payers
) -> None:
    try:
        _land(record, line, judged, content_key, payers)
    except IntegrityError:  # another worker landed the line or the booking in this moment, and is seen now
        _land(record, line, judged, content_key, payers)


@transaction.atomic
def _land(
    record: BankImport, line: Line, judged: Booking | BankReason, content_key: str, payers: matching.Payers
) -> None:
    """Keep a line, and the payment that it is, in one transaction."""
    if record.lines.filter(line=line.number).exists():
        return
    row = BankLine(source=record, line=line.number)
    if isinstance(judged, BankReason):
        row.state, row.reason, row.reference = BankLine.State.REJECTED, judged, shown(line.data, MAX_REFERENCE_CHARS)
        row.save(force_insert=True)
        return
    row.day, row.amount, row.currency = judged.day, judged.amount, judged.currency
    row.payer, row.reference = judged.payer[:MAX_PAYER_CHARS], judged.reference[:MAX_REFERENCE_CHARS]
    row.booking_key = _free_key(judged, content_key)
    found = matching.Match(None)
    if row.booking_key is None:
        row.state, row.reason = BankLine.State.IGNORED, BankReason.KNOWN
    elif judged.amount < 0:
        row.state, row.reason = BankLine.State.IGNORED, BankReason.OUTGOING
    else:
        found = matching.match(judged.amount, judged.currency, judged.payer, judged.reference, payers)
        row.state, row.reason = BankLine.State.WAITING, found.reason
    row.save(force_insert=True)
    if found.invoice:
        _pay(row, found)


def _free_key(booking: Booking, content_key: str) -> str | None:
    """The key under which a booking is new; None for one that is known.

    An id is the bank's promise for one account. Where another booking has it already, content decides.
    """
    if not booking.booking_id:
        return None if BankLine.objects.filter(booking_key=content_key).exists() else content_key
    other = BankLine.objects.filter(booking_key=booking.booking_id).first()
    if other is None:
        return booking.booking_id
    if (other.day, other.amount, other.currency) == (booking.day, booking.amount, booking.currency):
        return None
    return None if BankLine.objects.filter(booking_key=content_key).exists() else content_key


def _pay(row: BankLine, found: matching.Match) -> None:
    assert row.amount is not None
    assert row.day is not None
    try:
        payments.record(
            Money(row.amount, row.currency), row.day, invoice=found.invoice, reference=row.reference, bank_line=row
        )
        row.state, row.reason = BankLine.State.MATCHED, ""
    except PaymentRefusedError:  # it was made void in this moment
        row.reason = BankReason.NOT_OPEN
    row.save(update_fields=["state", "reason"])
