"""Lines become purchases, or are refused with a reason; nothing else happens."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import purchases
from billing.exceptions import BadLineError
from billing.formats import CDNOW, CSV, FORMATS, Format
from billing.purchases import Purchase
from billing.reasons import Reason

numbers = ["7", "00007", "NaN", "inf", "1e9", "-1", "+1", "1,5", "٣", "11.77", "0.005", "9" * 40]
texts = ["", "19970131", "1997-01-31", "19970230", '"', '"a', "=cmd()", "\t", "\x00", "x" * 300]
cells = st.sampled_from(numbers + texts)
likely = st.lists(cells, max_size=7).flatmap(lambda row: st.sampled_from([",", " ", ";"]).map(lambda by: by.join(row)))
any_line = st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode), likely.map(str.encode))
known = st.sampled_from(list(FORMATS.values()))


@given(known, any_line)
def test_any_bytes_are_a_purchase_within_its_bounds_or_a_bad_line(known: Format, line: bytes) -> None:
    try:
        found = known.parse(line)
    except BadLineError as error:
        assert error.reason in Reason
        return

    assert 0 < len(found.customer) <= 32
    assert purchases.FIRST_DAY <= found.day <= purchases.LAST_DAY
    assert 1 <= found.quantity <= purchases.MAX_QUANTITY
    assert 0 <= found.amount <= purchases.MAX_AMOUNT
    assert found.amount.as_tuple().exponent == -2
    assert "\0" not in found.description


@given(known, any_line)
def test_looking_for_a_header_never_raises(known: Format, line: bytes) -> None:
    assert known.has_header(line) in (True, False)


bought = st.builds(
    Purchase,
    st.from_regex(purchases.CUSTOMER, fullmatch=True),
    st.dates(purchases.FIRST_DAY, purchases.LAST_DAY),
    st.integers(1, purchases.MAX_QUANTITY),
    st.decimals(0, purchases.MAX_AMOUNT, places=2),
    st.text(st.characters(exclude_categories=["C", "Z"]), max_size=255),
)


@given(bought)
def test_what_a_csv_writer_writes_is_read_as_it_was(purchase: Purchase) -> None:
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(purchase)

    assert CSV.parse(line.getvalue().encode()) == purchase


@given(bought)
def test_a_cdnow_line_is_read_as_it_was(purchase: Purchase) -> None:
    line = f" {purchase.customer}  {purchase.day:%Y%m%d} {purchase.quantity:3d}  {purchase.amount:8.2f}"

    assert CDNOW.parse(line.encode()) == purchase._replace(description="")


def test_the_csv_of_the_order_is_read() -> None:
    assert CSV.parse(b'00001, 1997-01-01 ,1,11.77,"Caf\xc3\xa9, two ""large"""') == Purchase(
        "00001", date(1997, 1, 1), 1, Decimal("11.77"), 'Café, two "large"'
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,19970101,1", Reason.COLUMNS),
        (b"1,19970101,1,2.00,a,b", Reason.COLUMNS),
        (b"1;19970101;1;2.00;a", Reason.COLUMNS),
        (b",19970101,1,2.00,a", Reason.CUSTOMER),
        ("Ä1,19970101,1,2.00,a".encode(), Reason.CUSTOMER),
        (b"<b>,19970101,1,2.00,a", Reason.CUSTOMER),
        (b"1" * 33 + b",19970101,1,2.00,a", Reason.CUSTOMER),
        (b"1,19970229,1,2.00,a", Reason.DAY),
        (b"1,1997-13-01,1,2.00,a", Reason.DAY),
        (b"1,1997-0101,1,2.00,a", Reason.DAY),
        (b"1,01.01.1997,1,2.00,a", Reason.DAY),
        (b"1,00000101,1,2.00,a", Reason.DAY),
        (b"1,,1,2.00,a", Reason.DAY),
        (b"1,19691231,1,2.00,a", Reason.DAY_RANGE),
        (b"1,21000101,1,2.00,a", Reason.DAY_RANGE),
        (b"1,19970101,one,2.00,a", Reason.QUANTITY),
        (b"1,19970101,1.5,2.00,a", Reason.QUANTITY),
        ("1,19970101,٣,2.00,a".encode(), Reason.QUANTITY),
        (b"1,19970101,0,2.00,a", Reason.QUANTITY_RANGE),
        (b"1,19970101,-1,2.00,a", Reason.QUANTITY_RANGE),
        (b"1,19970101,1000001,2.00,a", Reason.QUANTITY_RANGE),
        (b"1,19970101,1,NaN,a", Reason.AMOUNT),
        (b"1,19970101,1,inf,a", Reason.AMOUNT),
        (b"1,19970101,1,1e3,a", Reason.AMOUNT),
        (b"1,19970101,1,1_000,a", Reason.AMOUNT),
        (b"1,19970101,1,2.005,a", Reason.AMOUNT),
        (b'1,19970101,1,"2,00",a', Reason.AMOUNT),
        (b"1,19970101,1,$2.00,a", Reason.AMOUNT),
        (b"1,19970101,1,,a", Reason.AMOUNT),
        (b"1,19970101,1,-0.01,a", Reason.AMOUNT_RANGE),
        (b"1,19970101,1,1000000.01,a", Reason.AMOUNT_RANGE),
        (b"1,19970101,1,2.00," + b"x" * 256, Reason.DESCRIPTION),
        (b"1,19970101,1,2.00,Caf\xe9", Reason.ENCODING),
        (b"1,19970101,1,2.00,a\0b", Reason.CONTROL),
        (b"1,19970101,1,2.00,a\rb", Reason.CONTROL),
        (b'1,19970101,1,2.00,"a', Reason.QUOTES),
        (b'1,19970101,1,2.00,"a"b', Reason.QUOTES),
    ],
)
def test_a_broken_line_is_refused_for_its_reason(line: bytes, reason: Reason) -> None:
    with pytest.raises(BadLineError) as caught:
        CSV.parse(line)

    assert caught.value.reason == reason


def test_minus_nothing_is_nothing() -> None:
    assert str(CSV.parse(b"1,19970101,1,-0.00,").amount) == "0.00"


def test_a_header_is_known_with_a_byte_order_mark_and_in_any_case() -> None:
    assert CSV.has_header(b"\xef\xbb\xbfCustomer_ID, date,quantity,amount,description")
    assert CDNOW.has_header(b" customer_id  date number_of_cds  dollar_value")
    assert not CSV.has_header(b"customer_id;date;quantity;amount;description")
    assert not CDNOW.has_header(b"")


def test_the_reasons_name_the_limits_that_hold() -> None:
    assert f"{purchases.MAX_AMOUNT:,}" in Reason.AMOUNT_RANGE.label
    assert f"{purchases.MAX_QUANTITY:,}" in Reason.QUANTITY_RANGE.label
    assert str(purchases.FIRST_DAY) in Reason.DAY_RANGE.label
    assert str(purchases.LAST_DAY) in Reason.DAY_RANGE.label
    assert str(purchases.MAX_DESCRIPTION_CHARS) in Reason.DESCRIPTION.label
