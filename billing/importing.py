"""Bills the lines of an import: chunk by chunk, each in one transaction together with the position.

Wherever it is killed, the next start goes on behind the last chunk that landed. Two workers on one import are
harmless: a chunk lands only from the position it was read at, so one of them lands it and the other one reads on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from billing.exceptions import BadLineError, ImportStuckError
from billing.formats import FORMATS, Format
from billing.lines import Line, read_lines, shown
from billing.models import MAX_REJECTED_CHARS, Charge, ChargeImport, Customer, RejectedLine
from billing.models.states import fail
from billing.purchases import Purchase
from billing.reasons import Reason

CHUNK_LINES = 1_000
MAX_REJECTED_KEPT = 1_000  # lines of one import; the count is exact
MAX_STARTS = 5  # at one position; then something there kills the worker, and a person must look


@dataclass(frozen=True)
class Chunk:
    """Some lines, judged; `end` and `number` are the position behind them."""

    end: int
    number: int
    purchases: dict[int, Purchase] = field(default_factory=dict)
    rejected: list[tuple[Line, Reason]] = field(default_factory=list)

    @property
    def amount(self) -> Decimal:
        """The total of its purchases."""
        return sum((purchase.amount for purchase in self.purchases.values()), Decimal("0.00"))


def run_import(import_id: int, on_line: Callable[[int], object] = lambda number: None) -> ChargeImport:
    """Bill what is not billed yet; `on_line` hears the number of the last line, at the start and after each chunk."""
    record = _begin(import_id)
    on_line(record.lines_read)
    with record.file.open("rb") as file:
        while not record.is_done:
            lines = islice(read_lines(file, record.bytes_read, record.lines_read), CHUNK_LINES)
            _land(record, judge(lines, FORMATS[record.format]))
            record.refresh_from_db()
            on_line(record.lines_read)
    return record


def judge(lines: Iterable[Line], known: Format) -> Chunk | None:
    """Sort lines into purchases and rejected ones; None means that there are no more lines."""
    purchases, rejected, line = {}, [], None
    for line in lines:
        if line.number == 1 or not line.data.strip():
            continue  # the header, and blank lines
        try:
            if line.is_too_long:
                raise BadLineError(Reason.TOO_LONG)
            purchases[line.number] = known.parse(line.data)
        except BadLineError as error:
            rejected.append((line, error.reason))
    return Chunk(line.end, line.number, purchases, rejected) if line else None


def _begin(import_id: int) -> ChargeImport:
    record = ChargeImport.objects.get(pk=import_id)
    unfinished = ChargeImport.objects.filter(pk=import_id).exclude(state=ChargeImport.State.SUCCEEDED)
    if record.starts >= MAX_STARTS:
        raise ImportStuckError(
            _("It was started %(starts)d times and never came further than line %(line)d.")
            % {"starts": record.starts, "line": record.lines_read}
        )
    unfinished.update(state=ChargeImport.State.RUNNING, error="", starts=F("starts") + 1, moved_at=timezone.now())
    record.refresh_from_db()
    return record


@transaction.atomic
def _land(record: ChargeImport, chunk: Chunk | None) -> bool:
    """Write a chunk with the position behind it; False means that another worker was first, and nothing is written."""
    here = ChargeImport.objects.filter(pk=record.pk, bytes_read=record.bytes_read)
    if chunk is None:
        return bool(here.update(state=ChargeImport.State.SUCCEEDED, error="", moved_at=timezone.now()))
    is_ours = here.update(
        bytes_read=chunk.end,
        lines_read=chunk.number,
        charge_count=record.charge_count + len(chunk.purchases),
        rejected_count=record.rejected_count + len(chunk.rejected),
        amount_total=record.amount_total + chunk.amount,
        moved_at=timezone.now(),
        starts=0,
    )
    if is_ours:
        _write_charges(record, chunk.purchases)
        _write_rejected(record, chunk.rejected)
    return bool(is_ours)


def _write_charges(record: ChargeImport, purchases: dict[int, Purchase]) -> None:
    customers = _customer_ids({purchase.customer for purchase in purchases.values()})
    Charge.objects.bulk_create(
        Charge(
            customer_id=customers[purchase.customer],
            day=purchase.day,
            quantity=purchase.quantity,
            amount=purchase.amount,
            currency=record.currency,
            description=purchase.description,
            source_id=record.pk,
            line=number,
        )
        for number, purchase in purchases.items()
    )


def _customer_ids(numbers: set[str]) -> dict[str, int]:
    """Find customers by number, and make the ones that are new; another import may make them in the same moment."""
    wanted = Customer.objects.filter(number__in=numbers).values_list("number", "pk")
    known = dict(wanted)
    if missing := sorted(numbers - known.keys()):
        Customer.objects.bulk_create([Customer(number=number) for number in missing], ignore_conflicts=True)
        known = dict(wanted.all())
    return known


def _write_rejected(record: ChargeImport, rejected: list[tuple[Line, Reason]]) -> None:
    room = max(0, MAX_REJECTED_KEPT - record.rejected_count)
    RejectedLine.objects.bulk_create(
        RejectedLine(source_id=record.pk, line=line.number, reason=reason, text=shown(line.data, MAX_REJECTED_CHARS))
        for line, reason in rejected[:room]
    )


def lines_of(import_id: int) -> int:
    """How many lines the file of an import has."""
    return ChargeImport.objects.values_list("lines_total", flat=True).get(pk=import_id)


def note_failure(import_id: int, error: BaseException) -> None:
    """Show on the import that its run ended before the file did; it can be started again from where it stopped."""
    fail(ChargeImport.objects.filter(pk=import_id), error, starts=0)
