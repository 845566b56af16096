"""The real file of purchases lands to the cent, in time and in bounded memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Max, Min, Sum

from billing import importing
from billing.models import Charge, ChargeImport, Customer
from tests.billing.files import Facts, same_shape

LIMIT_S = 60


def test_the_cdnow_file_lands_exactly_and_a_second_time_bills_nothing(
    make_import: Callable[..., Any], cdnow: Facts
) -> None:
    record = make_import(cdnow.content, name="CDNOW_master.txt")

    began = time.monotonic()
    importing.run_import(record.pk)
    took_s = time.monotonic() - began
    again = make_import(cdnow.content, name="copy.txt")
    importing.run_import(again.pk)

    assert again == record
    record.refresh_from_db()
    assert (record.state, record.rejected_count, record.lines_read) == ("succeeded", 0, cdnow.charges + 1)
    assert (record.charge_count, record.amount_total) == (cdnow.charges, cdnow.amount)
    assert Customer.objects.count() == cdnow.customers
    found = Charge.objects.aggregate(
        amount=Sum("amount"), quantity=Sum("quantity"), first=Min("day"), last=Max("day"), lines=Max("line")
    )
    assert found == {
        "amount": cdnow.amount,
        "quantity": cdnow.quantity,
        "first": cdnow.first_day,
        "last": cdnow.last_day,
        "lines": cdnow.charges + 1,
    }
    assert Charge.objects.count() == cdnow.charges
    assert Charge.objects.filter(amount=0).count() == cdnow.free
    assert took_s < LIMIT_S


def peak_bytes(record: ChargeImport) -> int:
    tracemalloc.start()
    try:
        importing.run_import(record.pk)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_a_chunk_s_and_not_the_file_s(
    make_import: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK_LINES", 200)
    warm, record = make_import(same_shape(500).content), make_import(same_shape(4_000).content)
    peak_bytes(warm)

    # Held at once, its 4,000 charges are more than 5 MiB.
    assert peak_bytes(record) < 2 * 2**20
