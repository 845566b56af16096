"""Real processes that import, killed with SIGKILL or run beside each other: the end is exact."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum

from billing import importing
from billing.models import Charge, ChargeImport, Customer
from tests.billing.files import CSV_HEADER, same_shape
from tests.harness.wait import until

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[[str], "subprocess.Popen[str]"]

# Says "inside" when the charges of the third chunk are written and not yet committed, and waits to be killed.
STOP_INSIDE_THE_THIRD_CHUNK = """
import time
importing.CHUNK_LINES, real, calls = 100, importing._write_rejected, []
def stop(*args):
    real(*args)
    calls.append(args)
    if len(calls) == 3:
        print("inside", flush=True)
        time.sleep(60)
importing._write_rejected = stop
"""


def assert_exact(record: ChargeImport, charges: int, amount: Decimal) -> None:
    record.refresh_from_db()
    assert (record.state, record.charge_count, record.amount_total) == ("succeeded", charges, amount)
    assert record.charges.count() == charges
    assert record.charges.aggregate(total=Sum("amount"))["total"] == amount


def test_killed_between_writing_and_committing_nothing_is_lost_or_doubled(
    make_import: Callable[..., Any], start_process: Start
) -> None:
    facts = same_shape(1_000)
    record = make_import(facts.content)
    process = start_process(f"{STOP_INSIDE_THE_THIRD_CHUNK}\nimporting.run_import({record.pk})")
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"

    process.kill()
    process.wait(timeout=20)

    record.refresh_from_db()
    assert (record.lines_read, record.charges.count()) == (200, 199)
    importing.run_import(record.pk)
    assert_exact(record, facts.charges, facts.amount)


def test_killed_again_and_again_wherever_it_is_it_ends_exact(
    make_import: Callable[..., Any], start_process: Start
) -> None:
    facts = same_shape(2_000)
    record = make_import(facts.content)

    for lines in (1, 500):
        process = start_process(f"importing.CHUNK_LINES = 20\nimporting.run_import({record.pk})")
        until(lambda at=lines: _lines_read(record) >= at, f"line {lines} to be read", seconds=60)  # type: ignore[misc]
        process.kill()
        process.wait(timeout=20)
        assert _lines_read(record) < facts.charges

    importing.run_import(record.pk)
    assert_exact(record, facts.charges, facts.amount)


def test_two_workers_on_one_import_bill_each_line_once_and_both_end(
    make_import: Callable[..., Any], start_process: Start
) -> None:
    facts = same_shape(1_000)
    record = make_import(facts.content)
    statements = f"importing.CHUNK_LINES = 50\nprint(importing.run_import({record.pk}).state)"

    workers = [start_process(statements) for _ in range(2)]

    assert [worker.communicate(timeout=60)[0] for worker in workers] == ["succeeded\n", "succeeded\n"]
    assert_exact(record, facts.charges, facts.amount)


def test_two_files_at_once_share_new_customers_and_both_end_exact(
    make_import: Callable[..., Any], start_process: Start
) -> None:
    numbers = list(range(500))
    upwards = make_import(CSV_HEADER + b"".join(b"%d,19970101,1,2.00,up\n" % number for number in numbers))
    downwards = make_import(CSV_HEADER + b"".join(b"%d,19970101,1,3.00,down\n" % number for number in numbers[::-1]))

    workers = [
        start_process(f"importing.CHUNK_LINES = 50\nprint(importing.run_import({record.pk}).state)")
        for record in (upwards, downwards)
    ]

    assert [worker.communicate(timeout=60)[0] for worker in workers] == ["succeeded\n", "succeeded\n"]
    assert_exact(upwards, 500, Decimal("1000.00"))
    assert_exact(downwards, 500, Decimal("1500.00"))
    assert Customer.objects.count() == 500
    assert Charge.objects.count() == 1_000


def _lines_read(record: ChargeImport) -> int:
    return ChargeImport.objects.values_list("lines_read", flat=True).get(pk=record.pk)
