"""An import ends exact, whatever the file holds and wherever it was stopped."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from django.db.models import Sum
from hypothesis import given
from hypothesis import strategies as st

from billing import importing
from billing.exceptions import ImportStuckError
from billing.formats import CSV
from billing.lines import MAX_LINE_BYTES, read_lines, shown
from billing.models import Charge, ChargeImport, Customer, RejectedLine
from billing.reasons import Reason
from tests.billing.files import CSV_HEADER, same_shape

MIXED = (
    CSV_HEADER
    + b"1,19970101,2,11.77,first\n"
    + b"1,19970101,2,11.77,first\n"  # a repeated line is another purchase
    + b"1,19970230,2,11.77,no such day\n"
    + b"\n"
    + b"2,1997-01-02,1,NaN,\n"
    + b"2,1997-01-02,1,0.00,Caf\xc3\xa9\n"
    + b"2,1997-01-02,1,5.00,Caf\xe9\n"
    + b"3,1997-01-02,1,5.00," + b"x" * MAX_LINE_BYTES + b"\n"
    + b"3,1997-01-02,1,-5.00,\r\n"
    + b"3,1997-01-02,1,5.25,last"
)  # fmt: skip


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk of three lines, so that a small file has many."""
    monkeypatch.setattr(importing, "CHUNK_LINES", 3)


def told(record: ChargeImport) -> tuple[Any, ...]:
    """What an import says of itself."""
    record.refresh_from_db()
    return record.state, record.lines_read, record.charge_count, record.rejected_count, record.amount_total


def held(record: ChargeImport) -> tuple[Any, ...]:
    """What the tables say of an import."""
    total = record.charges.aggregate(total=Sum("amount"))["total"] or Decimal("0.00")
    return record.charges.count(), record.rejected_lines.count(), total


@pytest.mark.usefixtures("small_chunks")
def test_each_line_is_billed_or_rejected_with_its_number_and_reason(make_import: Callable[..., Any]) -> None:
    record = make_import(MIXED)

    importing.run_import(record.pk)

    assert told(record) == ("succeeded", 11, 4, 5, Decimal("28.79"))
    assert held(record) == (4, 5, Decimal("28.79"))
    assert list(record.charges.order_by("line").values_list("line", "customer__number", "amount", "description")) == [
        (2, "1", Decimal("11.77"), "first"),
        (3, "1", Decimal("11.77"), "first"),
        (7, "2", Decimal("0.00"), "Café"),
        (11, "3", Decimal("5.25"), "last"),
    ]
    assert list(record.rejected_lines.order_by("line").values_list("line", "reason")) == [
        (4, Reason.DAY),
        (6, Reason.AMOUNT),
        (8, Reason.ENCODING),
        (9, Reason.TOO_LONG),
        (10, Reason.AMOUNT_RANGE),
    ]
    assert record.rejected_lines.get(line=8).text == r"2,1997-01-02,1,5.00,Caf\xe9"
    assert set(record.charges.values_list("currency", flat=True)) == {"USD"}


def test_an_import_that_is_done_does_nothing_when_it_is_run_again(make_import: Callable[..., Any]) -> None:
    record = make_import(MIXED)
    importing.run_import(record.pk)
    before = told(record), held(record)

    importing.run_import(record.pk)

    assert (told(record), held(record)) == before


def test_a_file_with_a_byte_order_mark_is_read_to_its_last_line(make_import: Callable[..., Any]) -> None:
    record = make_import(b"\xef\xbb\xbf" + CSV_HEADER + b"1,19970101,1,2.00,a")

    importing.run_import(record.pk)

    assert told(record) == ("succeeded", 2, 1, 0, Decimal("2.00"))


def test_a_file_of_broken_lines_only_keeps_the_first_thousand_and_counts_all(make_import: Callable[..., Any]) -> None:
    record = make_import(CSV_HEADER + b"nonsense\n" * 2_500)

    importing.run_import(record.pk)

    assert told(record) == ("succeeded", 2_501, 0, 2_500, Decimal("0.00"))
    assert record.rejected_lines.count() == importing.MAX_REJECTED_KEPT
    assert record.rejected_lines.order_by("-line").values_list("line", flat=True)[0] == 1_001


def test_progress_hears_each_chunk_and_the_last_line(make_import: Callable[..., Any]) -> None:
    record = make_import(same_shape(4_500).content)
    heard: list[int] = []

    importing.run_import(record.pk, on_line=heard.append)

    assert heard == [0, 1_000, 2_000, 3_000, 4_000, 4_501, 4_501]
    assert record.lines_total == 4_501


STEPS = ["judge", "_customer_ids", "_write_charges", "_write_rejected"]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("chunk", [1, 2, 4])
def test_an_import_broken_off_at_any_step_goes_on_exactly(
    make_import: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, step: str, when: str, chunk: int
) -> None:
    record = make_import(MIXED)
    real, calls = getattr(importing, step), []

    def breaking(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == chunk and when == "before":
            raise InterruptedError
        answer = real(*args)
        if len(calls) == chunk and when == "after":
            raise InterruptedError
        return answer

    monkeypatch.setattr(importing, step, breaking)
    with pytest.raises(InterruptedError):
        importing.run_import(record.pk)
    record.refresh_from_db()
    assert record.lines_read == (chunk - 1) * 3
    assert held(record) == (record.charge_count, record.rejected_count, record.amount_total)

    importing.run_import(record.pk)

    assert told(record) == ("succeeded", 11, 4, 5, Decimal("28.79"))
    assert held(record) == (4, 5, Decimal("28.79"))


@pytest.mark.usefixtures("small_chunks")
def test_a_chunk_that_another_worker_landed_meanwhile_is_not_landed_again(
    make_import: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_import(MIXED)
    real, other_lines = importing.judge, random.Random(7)

    def judge_while_another_lands(lines: Any, known: Any) -> Any:
        chunk = real(lines, known)
        if other_lines.random() < 0.5:
            here = ChargeImport.objects.get(pk=record.pk)
            with here.file.open("rb") as file:
                taken = list(read_lines(file, here.bytes_read, here.lines_read))[:2]
            importing._land(here, real(taken, known))
        return chunk

    monkeypatch.setattr(importing, "judge", judge_while_another_lands)
    importing.run_import(record.pk)

    assert told(record) == ("succeeded", 11, 4, 5, Decimal("28.79"))
    assert held(record) == (4, 5, Decimal("28.79"))


def test_two_files_share_their_customers(make_import: Callable[..., Any]) -> None:
    first = make_import(CSV_HEADER + b"1,19970101,1,2.00,a\n2,19970101,1,2.00,a\n")
    second = make_import(CSV_HEADER + b"2,19970101,1,2.00,b\n3,19970101,1,2.00,b\n")

    importing.run_import(first.pk)
    importing.run_import(second.pk)

    assert sorted(Customer.objects.values_list("number", flat=True)) == ["1", "2", "3"]
    assert Charge.objects.count() == 4


def test_an_import_that_ends_at_the_same_line_five_times_waits_for_a_person(
    make_import: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_import(MIXED)
    with monkeypatch.context() as broken:
        broken.setattr(importing, "judge", lambda *args: 1 / 0)
        for _ in range(importing.MAX_STARTS):
            with pytest.raises(ZeroDivisionError):
                importing.run_import(record.pk)

    with pytest.raises(ImportStuckError, match="started 5 times and never came further than line 0"):
        importing.run_import(record.pk)

    importing.note_failure(record.pk, ImportStuckError("no further"))
    record.refresh_from_db()
    assert (record.state, record.error, record.may_start) == ("failed", "ImportStuckError: no further", True)
    importing.run_import(record.pk)
    assert told(record)[0] == "succeeded"


@pytest.mark.usefixtures("small_chunks")
def test_an_import_that_gets_a_little_further_each_time_is_not_given_up(
    make_import: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_import(CSV_HEADER + b"1,19970101,1,2.00,a\n" * 30)
    real, calls = importing.judge, []

    def breaking_every_other_time(*args: Any) -> Any:
        calls.append(args)
        if len(calls) % 2 == 0:
            raise InterruptedError
        return real(*args)

    with monkeypatch.context() as broken:
        broken.setattr(importing, "judge", breaking_every_other_time)
        for _ in range(importing.MAX_STARTS + 3):
            with pytest.raises(InterruptedError):
                importing.run_import(record.pk)

    importing.run_import(record.pk)
    assert told(record) == ("succeeded", 31, 30, 0, Decimal("60.00"))


def test_the_failure_of_one_run_does_not_undo_that_another_one_came_to_the_end(make_import: Callable[..., Any]) -> None:
    record = make_import(MIXED)
    importing.run_import(record.pk)

    importing.note_failure(record.pk, RuntimeError("late"))

    assert told(record)[0] == "succeeded"


@given(st.lists(st.one_of(st.binary(max_size=40), st.just(b"1,19970101,1,2.00,a"), st.just(b"")), max_size=30))
def test_each_line_of_any_file_is_a_purchase_or_rejected_or_blank(rows: list[bytes]) -> None:
    content = CSV_HEADER + b"\n".join(rows)
    lines = list(read_lines(BytesIO(content), 0, 0))

    chunk = importing.judge(lines, CSV)

    assert chunk is not None
    blank = sum(not line.data.strip() for line in lines[1:])
    assert 1 + blank + len(chunk.purchases) + len(chunk.rejected) == len(lines) == chunk.number
    assert chunk.end == len(content)


@given(st.binary(max_size=500))
def test_what_is_shown_of_any_line_is_bounded_and_printable(data: bytes) -> None:
    text = shown(data, 200)

    assert len(text) <= 200
    assert text.isprintable()


def test_a_rejected_line_says_itself_in_words() -> None:
    assert str(RejectedLine(line=7, reason=Reason.DAY)).startswith("7: The date must be a day that exists")
