"""Celery's signals become rows: every way a run can go, with a real broker and a real worker."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest import mock

import pytest
from celery import chain, current_app, group
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from kombu.exceptions import EncodeError
from kombu.exceptions import OperationalError as BrokerError

from live import events, headers, origin, stream, tracking
from tests.harness.processes import Process
from tests.harness.wait import until
from tests.live import tasks
from tests.live.publishers import log_rows
from tests.live.test_origin import Person, served_for
from tests.live.workers import history, wait_for

NOBODY = "nobody-takes-this-at-all"


def send(task: Any, *args: Any, **options: Any) -> str:
    """Send a task to the worker of these tests; return the run's id."""
    return str(task.apply_async(args, **{"queue": "unit", **options}).id)


def publish(run_id: str, task: str, args: list[Any], **header: Any) -> None:
    """Put a message into the broker past Celery's signals, as a sender without `live` does."""
    message = current_app.amqp.as_task_v2(run_id, task, args, {}, **header.pop("options", {}))
    with current_app.producer_pool.acquire(block=True) as producer:
        producer.publish(
            message.body,
            routing_key="unit",
            exchange="",
            headers={**message.headers, **header},
            serializer="json",
            **message.properties,
        )


@pytest.fixture
def tokyo() -> Iterator[None]:
    """A machine whose own time is not UTC."""
    with mock.patch.dict(os.environ, TZ="Asia/Tokyo"):
        time.tzset()
        yield
    time.tzset()


def end_of(run_id: str) -> events.Row:
    """Return the run's row once it is final."""
    return wait_for(run_id, *events.FINAL)


def test_a_run_is_queued_received_running_and_succeeded(worker: Process) -> None:
    with served_for(Person()):
        run_id = send(tasks.add, 1, 2, headers=headers(title="One and two"))

    row = end_of(run_id)
    states = {"queued", "received", "running", "succeeded"}
    until(lambda: {row.state for row in history(run_id)} == states, "the rows of sender, worker and child")

    assert (row.task, row.title, row.kind, row.owner, row.queue) == (
        "unit.add",
        "One and two",
        "ad_hoc",
        "4711",
        "unit",
    )
    assert (row.worker, row.attempt, row.args, row.kwargs, row.result) == ("unit@here", 1, "[1,2]", "{}", "3")
    assert row.queued_at and row.received_at and row.started_at and row.finished_at
    assert row.queued_at < row.received_at <= row.started_at <= row.finished_at
    assert (row.error, row.eta, row.parent, row.root, row.group) == (None, None, None, None, None)


def test_each_row_of_a_run_is_whole(worker: Process) -> None:
    with served_for(Person()):
        run_id = send(tasks.add, 1, 2, headers=headers(title="One and two"))
    end_of(run_id)

    for row in history(run_id):
        assert (row.title, row.owner, row.args) == ("One and two", "4711", "[1,2]")
        assert (row.queue, row.task) == ("unit", "unit.add")


def test_without_a_worker_a_run_is_queued() -> None:
    run_id = send(tasks.add, 1, 2, queue=NOBODY)

    row = wait_for(run_id, "queued")

    assert (row.worker, row.version.phase) == ("", 0)
    assert row.received_at is row.started_at is row.finished_at is None


def test_a_run_that_the_broker_did_not_take_is_not_queued() -> None:
    run_id = str(uuid.uuid4())

    with current_app.connection_for_write("redis://127.0.0.1:1") as nowhere, pytest.raises(BrokerError):
        tasks.add.apply_async((1, 2), task_id=run_id, connection=nowhere)
    wait_for(send(tasks.add, 1, 2, queue=NOBODY), "queued")

    assert history(run_id) == []


@pytest.mark.parametrize(
    "value",
    [mark_safe("<b>"), gettext_lazy("Import"), tasks.Price(1.5), "\ud800\x00", float("nan"), {"a": {1: [b"\xff"]}}],
    ids=lambda value: type(value).__name__,
)
def test_odd_arguments_are_sent_and_followed(value: Any) -> None:
    run_id = str(current_app.send_task("unit.odd", (value,), {"given": value}, queue=NOBODY).id)

    row = wait_for(run_id, "queued")

    assert json.loads(row.args) is not None
    assert json.loads(row.kwargs) is not None


def test_arguments_that_cannot_be_sent_are_celerys_to_refuse() -> None:
    with pytest.raises(EncodeError):
        send(tasks.add, tasks.Unprintable(), 2, queue=NOBODY)


def test_an_id_that_is_no_text_is_followed_as_one() -> None:
    run_id = uuid.uuid4().int

    tasks.add.apply_async((1, 2), task_id=run_id, queue=NOBODY)  # type: ignore[arg-type]

    assert wait_for(str(run_id), "queued").id == str(run_id)


@pytest.mark.parametrize(
    ("kind", "result"),
    [("safe", '"<b>"'), ("price", "1.5"), ("unprintable", '"<unreadable Unprintable>"')],
)
def test_a_result_that_nobody_stores_may_be_anything(worker: Process, kind: str, result: str) -> None:
    row = end_of(send(tasks.odd_result, kind))

    assert (row.state, row.result) == ("succeeded", result)


def test_a_run_that_raises_has_failed_with_its_error(worker: Process) -> None:
    row = end_of(send(tasks.fail))

    assert row.state == "failed"
    assert row.error and (row.error.type, row.error.message) == ("ValueError", "� no such charge�")
    assert "raise ValueError" in row.error.traceback
    assert row.started_at and row.finished_at


def test_an_error_that_cannot_be_said_is_an_error_too(worker: Process) -> None:
    row = end_of(send(tasks.fail_mute))

    assert (row.state, row.error and row.error.type) == ("failed", "Mute")


def test_a_retry_is_the_same_run_with_the_same_origin(worker: Process) -> None:
    with served_for(Person()):
        run_id = send(tasks.login_retried, "clerk", "hush", headers=headers(title="Login"))

    row = end_of(run_id)

    rows = history(run_id)
    assert (row.state, row.attempt, row.error and row.error.type) == ("failed", 2, "ConnectionError")
    assert {(row.title, row.owner, row.kind, row.queue, row.args) for row in rows} == {
        ("Login", "4711", "ad_hoc", "unit", '["clerk","•••"]')
    }
    assert len({row.queued_at for row in rows}) == 1
    waiting = next(row for row in rows if row.state == "retrying")
    assert (waiting.attempt, waiting.finished_at, waiting.error and waiting.error.type) == (1, None, "ConnectionError")
    assert waiting.eta and waiting.eta.utcoffset() == timedelta(0)


def test_a_task_sent_by_a_task_is_its_child_and_inherits_the_owner(worker: Process) -> None:
    with served_for(Person()):
        run_id = send(tasks.parent, headers=headers(title="The parent"))
    child_id = json.loads(end_of(run_id).result or "")

    row = wait_for(child_id, "queued")

    assert (row.kind, row.owner, row.parent, row.root, row.title) == ("child", "4711", run_id, run_id, "")


def test_a_task_that_is_not_followed_passes_the_owner_on(worker: Process, settings: Any) -> None:
    settings.LIVE_IGNORE_TASKS = ["unit.unseen"]
    with served_for(Person()):
        run_id = send(tasks.unseen, headers=headers(title="Not followed"))

    def child() -> list[events.Row]:
        return [row for row in log_rows() if row.parent == run_id]

    assert until(child, "its child")[0].owner == "4711"
    assert history(run_id) == []


def test_the_links_of_a_chain_belong_together(worker: Process) -> None:
    with served_for(Person()):
        last = chain(*[signature.set(queue="unit") for signature in (tasks.add.s(1, 1), tasks.add.s(2))]).apply_async()

    first_row, last_row = end_of(last.parent.id), end_of(last.id)

    assert (first_row.kind, first_row.root, first_row.owner) == ("ad_hoc", None, "4711")
    assert (last_row.kind, last_row.root, last_row.parent, last_row.owner) == (
        "child",
        first_row.id,
        first_row.id,
        "4711",
    )
    assert last_row.result == "4"


def test_the_members_of_a_group_share_its_id(worker: Process) -> None:
    result = group(tasks.add.s(number, 1).set(queue="unit") for number in range(3)).apply_async()

    rows = [end_of(member.id) for member in result.results]

    assert {row.group for row in rows} == {result.id}
    assert [row.result for row in rows] == ["1", "2", "3"]


def test_the_body_of_a_chord_inherits_the_owner(worker: Process) -> None:
    with served_for(Person()):
        run_id = send(tasks.send_chord)

    body_id = json.loads(end_of(run_id).result or "")

    row = wait_for(body_id, "queued", "received", "running", *events.FINAL)
    assert (row.owner, row.kind, row.task) == ("4711", "child", "unit.total")


def test_a_run_with_a_countdown_says_when(worker: Process) -> None:
    before = datetime.now(UTC)
    run_id = send(tasks.add, 1, 2, countdown=0.7)

    received = wait_for(run_id, "received")
    row = end_of(run_id)

    assert received.eta and timedelta(seconds=0.5) < received.eta - before < timedelta(seconds=5)
    assert row.eta == received.eta
    assert row.started_at and row.started_at >= received.eta - timedelta(milliseconds=50)


@pytest.mark.parametrize(
    ("eta", "read"),
    [
        ("2026-03-01T13:00:00+01:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T12:00:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        (datetime(2026, 3, 1, 12), datetime(2026, 3, 1, 12, tzinfo=UTC)),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))), None),
        ("soon", None),
        (1e300, None),
        (None, None),
        ([], None),
    ],
    ids=str,
)
def test_a_time_is_read_as_utc_or_not_at_all(tokyo: None, eta: Any, read: datetime | None) -> None:
    found = tracking._when(eta)

    assert found == read
    assert found is None or found.utcoffset() == timedelta(0)


def test_a_run_that_comes_too_late_is_cancelled_as_expired(worker: Process) -> None:
    row = end_of(send(tasks.add, 1, 2, expires=datetime.now(UTC) - timedelta(seconds=1)))

    assert (row.state, row.error and row.error.type, row.started_at) == ("cancelled", "Expired", None)


def test_a_task_that_no_worker_knows_has_failed(worker: Process) -> None:
    run_id = str(current_app.send_task("unit.nobody_knows_it", (1,), queue="unit").id)

    row = end_of(run_id)

    assert (row.state, row.task, row.error and row.error.type) == ("failed", "unit.nobody_knows_it", "NotRegistered")
    assert row.worker == "unit@here"


def test_a_run_that_asks_to_be_ignored_is_cancelled(worker: Process) -> None:
    row = end_of(send(tasks.ignored))

    assert (row.state, row.error and row.error.type) == ("cancelled", "Ignore")


def test_a_run_that_puts_its_message_back_comes_again(worker: Process) -> None:
    run_id = send(tasks.rejected_late)

    row = end_of(run_id)

    assert (row.state, row.attempt, row.result) == ("succeeded", 1, '"now"')
    assert "retrying" in [row.state for row in history(run_id)]


def test_a_run_that_puts_back_a_message_it_no_longer_has_failed(worker: Process) -> None:
    row = end_of(send(tasks.rejected_early))

    assert (row.state, row.error and row.error.type) == ("failed", "Reject")


def test_a_run_whose_end_celery_could_not_store_has_failed_with_all_that_is_known(worker: Process) -> None:
    row = end_of(send(tasks.internal_error))

    assert (row.state, row.error and row.error.message) == ("failed", "the database is gone")
    assert row.started_at and row.finished_at and row.received_at
    assert row.progress and row.progress.current == 3


def test_a_message_from_a_sender_without_live_is_followed_from_its_arrival(worker: Process) -> None:
    run_id = str(uuid.uuid4())

    publish(run_id, "unit.login", ["clerk", "hush"], options={"parent_id": "p1"})
    row = end_of(run_id)
    states = {"received", "running", "succeeded"}
    until(lambda: {row.state for row in history(run_id)} == states, "the rows of worker and child")

    assert (row.kind, row.parent, row.owner, row.queue, row.args) == ("child", "p1", "", "unit", '["clerk","•••"]')
    assert len({row.queued_at for row in history(run_id)}) == 1


@pytest.mark.parametrize(
    "header", ["text", 3, {"id": "x"}, {"queued_at": "yesterday"}, {"queued_at": 10**40, "kind": "ad_hoc"}], ids=str
)
def test_a_message_with_a_strange_header_is_followed_as_well(worker: Process, header: Any) -> None:
    run_id = str(uuid.uuid4())
    header = {"id": run_id, **header} if isinstance(header, dict) else header

    publish(run_id, "unit.add", [1, 2], **{origin.HEADER: header})

    assert end_of(run_id).result == "3"


def test_a_message_of_celerys_first_protocol_is_followed(worker: Process) -> None:
    run_id = str(uuid.uuid4())
    message = current_app.amqp.as_task_v1(run_id, "unit.add", (1, 2), {})

    with current_app.producer_pool.acquire(block=True) as producer:
        producer.publish(message.body, routing_key="unit", exchange="", serializer="json", **message.properties)

    assert end_of(run_id).result == "3"


def test_names_that_are_too_long_for_the_database_are_cut_alike_everywhere() -> None:
    run_id = str(current_app.send_task("unit." + "x" * 400, queue=NOBODY, headers=headers(title="y" * 400)).id)

    row = wait_for(run_id, "queued")

    assert (len(row.task), len(row.title)) == (255, 255)


def test_a_task_that_is_called_like_a_function_is_no_run() -> None:
    before = len(log_rows())

    assert tasks.add(1, 2) == 3
    wait_for(send(tasks.add, 1, 2, queue=NOBODY), "queued")

    assert len(log_rows()) == before + 1


def test_a_task_that_is_applied_eagerly_is_a_run_without_a_worker() -> None:
    with served_for(Person()):
        run_id = tasks.add.apply((1, 2), headers=headers(title="At once")).id

    row = end_of(run_id)

    assert (row.state, row.result, row.owner, row.title, row.worker) == ("succeeded", "3", "4711", "At once", "")


def test_connecting_twice_says_everything_once() -> None:
    tracking.connect()

    run_id = send(tasks.add, 1, 2, queue=NOBODY)
    wait_for(run_id, "queued")

    assert len(history(run_id)) == 1


def test_a_worker_gives_signs_of_life(worker: Process) -> None:
    log = stream.Log()

    beat = until(lambda: log.heartbeats().get("unit@here"), "a sign of life")

    assert beat and beat.age_s < 5
    log.close()
