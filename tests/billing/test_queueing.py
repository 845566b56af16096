"""An import reaches a worker, or waits where a person sees it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from kombu import pools

from billing.models import ChargeImport
from billing.tasks.imports import queue_import
from tat.celery import app
from tests.billing.files import CSV_HEADER

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = CSV_HEADER + b"1,19970101,1,2.00,a\n"
BROKER_DOWN_LIMIT_S = 5


@pytest.fixture
def broker_down(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A broker at a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(app.conf, "broker_url", f"redis://127.0.0.1:{taken.getsockname()[1]}/0")
        _forget_connections()
        yield
    monkeypatch.undo()
    _forget_connections()


def _forget_connections() -> None:
    pools.reset()
    app._pool = app.amqp._producer_pool = None


def waiting(redis: Any) -> list[dict[str, Any]]:
    """The messages in the queue."""
    return [json.loads(message) for message in redis.lrange("tat:broker:celery", 0, -1)]


def test_a_queued_import_has_its_run_s_id_and_title_in_the_message(redis: Any, make_import: Callable[..., Any]) -> None:
    record = make_import(CONTENT, name="march.csv")

    queue_import(record)

    record.refresh_from_db()
    (message,) = waiting(redis)
    assert message["headers"]["id"] == record.run_id
    assert message["headers"]["task"] == "billing.import_charges"
    assert "Import of march.csv" in json.dumps(message["headers"])


def test_nothing_is_queued_before_the_transaction_around_it_commits(
    redis: Any, make_import: Callable[..., Any]
) -> None:
    record = make_import(CONTENT)

    with transaction.atomic():
        queue_import(record)
        assert waiting(redis) == []

    assert len(waiting(redis)) == 1


@pytest.mark.usefixtures("broker_down")
def test_with_the_broker_down_the_import_is_kept_and_may_be_started(make_import: Callable[..., Any]) -> None:
    record = make_import(CONTENT)
    began = time.monotonic()

    queue_import(record)

    record.refresh_from_db()
    assert time.monotonic() - began < BROKER_DOWN_LIMIT_S
    assert (record.state, record.run_id, record.may_start) == ("waiting", "", True)


def test_a_person_may_start_what_waits_untold_failed_or_stalled_and_nothing_else(
    make_import: Callable[..., Any],
) -> None:
    record = make_import(CONTENT)
    long_ago = timezone.now() - timedelta(minutes=2)
    cases = [
        ("waiting", "", timezone.now(), True),
        ("waiting", "run", timezone.now(), False),
        ("waiting", "run", long_ago, True),
        ("running", "run", timezone.now(), False),
        ("running", "run", long_ago, True),
        ("failed", "run", timezone.now(), True),
        ("succeeded", "run", long_ago, False),
    ]

    for state, run_id, moved_at, expected in cases:
        ChargeImport.objects.update(state=state, run_id=run_id, moved_at=moved_at)
        record.refresh_from_db()
        assert record.may_start is expected, (state, run_id, moved_at)
