"""Queries: pages, counts and single runs, for one viewer and as of one moment."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from live import events, queries, topics
from live.models import Attempt, LogPosition, Run
from live.queries import AttemptRow, Viewer
from live.recorder import store, to_attempt, to_run
from tests.live.recording import told_exactly
from tests.live.rows import NOON, errors, hostile_texts, make_row, rows

pytestmark = pytest.mark.django_db
ALL = topics.Filter()
OPERATOR = Viewer("operator", sees_all=True)
CLERK = Viewer("clerk", sees_all=False)
NOBODY = Viewer("", sees_all=False)


def ids(found: list[events.Row]) -> list[str]:
    return [row.id for row in found]


def later(seconds: int) -> Any:
    return NOON + timedelta(seconds=seconds)


def store_rows(*told: events.Row) -> None:
    with transaction.atomic():
        store(list(told))


def test_a_page_is_newest_first_and_told_apart_by_id() -> None:
    store_rows(
        make_row("b", queued_at=later(1)),
        make_row("a", queued_at=later(1)),
        make_row("old"),
        make_row("new", queued_at=later(2)),
    )

    found = queries.page(OPERATOR, ALL, 10)

    assert ids(found) == ["new", "a", "b", "old"]
    assert found == sorted(found, key=events.sort_key)


def test_pages_follow_each_other_without_a_gap_or_a_double() -> None:
    store_rows(*(make_row(f"run-{number:02}", queued_at=later(number // 3)) for number in range(20)))

    pages = [ids(queries.page(OPERATOR, ALL, 6, offset)) for offset in (0, 6, 12, 18, 24)]

    assert [len(page) for page in pages] == [6, 6, 6, 2, 0]
    assert [run_id for page in pages for run_id in page] == ids(queries.page(OPERATOR, ALL, 100))


@pytest.fixture
def mixed() -> list[events.Row]:
    """Runs that differ in whatever a filter may ask for."""
    told = [
        make_row("r1", "failed", task="one", title="Import of MARCH", owner="clerk", queue="q1", worker="w1"),
        make_row("r2", "running", task="one", owner="clerk", kind="child", schedule="nightly", worker="w1"),
        make_row("r3", "running", task="two", owner="other", title="50%_off", queue="q1"),
        make_row("r4", "succeeded", task="two", owner="", title="straße ÄRGER", kind="scheduled"),
        make_row("r5", "lost", task="one", owner="clerk", title="back\\slash"),
    ]
    store_rows(*told)
    return told


filters = st.builds(
    topics.Filter,
    state=st.lists(st.sampled_from(events.STATES), max_size=2).map(tuple),
    task=st.sampled_from(["", "", "one", "two", "ONE"]),
    kind=st.sampled_from(["", "", "child", "ad_hoc"]),
    owner=st.sampled_from(["", "", "clerk", "other"]),
    queue=st.sampled_from(["", "", "q1"]),
    worker=st.sampled_from(["", "", "w1"]),
    schedule=st.sampled_from(["", "", "nightly"]),
    q=st.sampled_from(["", "march", "R", "%", "_", "\\", "ärger", "ÄRGER", "STRASSE", "straße", "ONE", "0%_"]),
)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filters, st.sampled_from([OPERATOR, CLERK, NOBODY]))
def test_a_page_and_its_counts_hold_what_the_filter_and_the_viewer_let_through_in_memory(
    mixed: list[events.Row], wanted: topics.Filter, viewer: Viewer
) -> None:
    seen = [row for row in mixed if viewer.may_see(row)]
    scope = [row.state for row in seen if wanted.matches_scope(row)]

    shown = [row for row in seen if wanted.matches_scope(row) and (not wanted.state or row.state in wanted.state)]
    assert ids(queries.page(viewer, wanted, 10)) == [row.id for row in shown]
    assert queries.counts(viewer, wanted) == {state: scope.count(state) for state in events.STATES}


def test_counts_name_every_state_though_there_is_no_run() -> None:
    assert queries.counts(OPERATOR, ALL) == dict.fromkeys(events.STATES, 0)


def test_a_viewer_has_the_rights_of_the_user(clerk: Any, operator: Any, admin_user: Any) -> None:
    assert Viewer.of(clerk) == CLERK
    assert Viewer.of(operator) == OPERATOR
    assert Viewer.of(admin_user).sees_all
    assert Viewer.of(AnonymousUser()) == NOBODY


def test_a_run_of_another_user_is_as_if_it_were_not_there(mixed: list[events.Row]) -> None:
    store_rows(make_row("theirs", owner="other", error=events.Error("E", "m"), state="failed"))

    assert queries.run(CLERK, "theirs") is None is queries.run(CLERK, "never")
    assert queries.attempts(CLERK, "theirs") == [] == queries.attempts(CLERK, "never")
    assert queries.read_run(CLERK, "theirs") == queries.read_run(CLERK, "never")
    assert queries.run(OPERATOR, "theirs") is not None
    assert len(queries.attempts(OPERATOR, "theirs")) == 1


def test_a_run_without_an_owner_is_nobodys_own(mixed: list[events.Row]) -> None:
    assert queries.run(NOBODY, "r4") is None
    assert queries.page(NOBODY, ALL, 10) == []
    assert queries.run(CLERK, "r4") is None


def test_of_many_attempts_the_last_are_shown_in_their_order(make_run: Callable[..., Run]) -> None:
    run = make_run("running")
    for number in range(1, queries.MAX_ATTEMPTS + 4):
        Attempt.objects.create(run=run, number=number, state="retrying")

    found = [attempt.number for attempt in queries.attempts(CLERK, run.id)]

    assert found == list(range(4, queries.MAX_ATTEMPTS + 4))


def test_more_runs_than_one_query_takes_are_found_by_id(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_MAX_IDS", 3)
    made = {make_run().id for _ in range(8)}

    assert set(queries.rows_by_id([*made, "never"])) == made


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows().map(told_exactly))
def test_a_row_comes_back_from_the_database_as_it_was(row: events.Row) -> None:
    Run.objects.all().delete()

    to_run(row).save()

    assert queries.to_row(Run.objects.get()) == row


@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile_texts, st.none() | errors)
def test_an_attempt_comes_back_from_the_database_as_it_was(
    make_run: Callable[..., Run], worker: str, error: events.Error | None
) -> None:
    Run.objects.all().delete()
    attempt = AttemptRow(3, "retrying", worker, NOON, None, error)

    to_attempt(make_run().id, attempt).save()

    assert queries.to_attempt_row(Attempt.objects.get()) == attempt


@pytest.mark.parametrize("state", ["running", "retrying", "a state of a newer worker"])
def test_a_late_row_never_undoes_the_end_of_an_earlier_try(state: str) -> None:
    ended = AttemptRow(1, "retrying", "w", NOON, NOON, events.Error("E", "first"))
    late = make_row(state=state, attempt=1)
    run = make_row(state="running", attempt=2)

    expected = "retrying" if state != "retrying" else late.state
    assert queries.attempt_after(ended, late, run).state == expected
    assert queries.attempt_after(None, late, run).state == state


def test_the_position_is_nowhere_before_the_first_record() -> None:
    assert queries.position() == ("", 0)
    LogPosition.objects.create(id=1, epoch="life", seq=7)
    assert queries.position() == ("life", 7)


def test_one_reading_has_the_list_the_counts_the_position_and_the_runs_asked_for(mixed: list[events.Row]) -> None:
    LogPosition.objects.create(id=1, epoch="life", seq=7)

    found = queries.read_list(CLERK, topics.Filter(state=("failed",)), 10, ["r3", "never"])

    assert (found.position, ids(found.rows)) == (("life", 7), ["r1"])
    assert (found.counts["running"], found.counts["failed"], found.counts["lost"]) == (1, 1, 1)
    assert list(found.stored) == ["r3"]


@contextmanager
def in_another_thread(work: Callable[[], None]) -> Iterator[threading.Thread]:
    """Do something with a connection of its own beside the test."""

    def do() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=do)
    thread.start()
    yield thread
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.django_db(transaction=True)
def test_all_queries_inside_see_one_state_though_a_writer_commits_between_them() -> None:
    store_rows(make_row("before"))
    with queries.as_of_one_moment():
        assert queries.counts(OPERATOR, ALL)["running"] == 1
        with in_another_thread(lambda: store_rows(make_row("meanwhile"))) as writer:
            writer.join(10)
        assert ids(queries.page(OPERATOR, ALL, 10)) == ["before"]
        assert queries.counts(OPERATOR, ALL)["running"] == 1

    assert queries.counts(OPERATOR, ALL)["running"] == 2


@pytest.mark.django_db(transaction=True)
def test_reading_does_not_wait_for_a_writer_that_has_begun() -> None:
    store_rows(make_row("before"))
    has_begun, may_end = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            store([make_row("meanwhile")])
            LogPosition.objects.select_for_update().get_or_create(id=1)
            has_begun.set()
            may_end.wait(10)

    with in_another_thread(write):
        try:
            assert has_begun.wait(10)
            begun = time.monotonic()
            found = queries.read_list(OPERATOR, ALL, 10, ["before"])
            took_s = time.monotonic() - begun
        finally:
            may_end.set()

    assert (ids(found.rows), found.position) == (["before"], ("", 0))
    assert took_s < 1


@pytest.mark.django_db(transaction=True)
def test_a_writer_does_not_wait_for_who_reads() -> None:
    with queries.as_of_one_moment():
        assert queries.position() == ("", 0)
        with in_another_thread(lambda: store_rows(make_row("meanwhile"))) as writer:
            writer.join(5)
            assert not writer.is_alive()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["the reader", "the database"])
def test_after_a_reading_that_failed_the_next_one_reads(what: str) -> None:
    with pytest.raises((ZeroDivisionError, queries.connection.Database.Error)), queries.as_of_one_moment():
        if what == "the reader":
            _ = 1 / 0
        with connection.connection.cursor() if connection.vendor == "postgresql" else sqlite_cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM live_run")

    store_rows(make_row("after"))
    assert ids(queries.read_list(OPERATOR, ALL, 10, []).rows) == ["after"]


@contextmanager
def sqlite_cursor() -> Iterator[sqlite3.Cursor]:
    """A cursor of the driver itself."""
    yield connection.connection.cursor()


@pytest.mark.django_db(transaction=True)
def test_inside_a_transaction_reading_joins_it() -> None:
    with transaction.atomic():
        store([make_row("mine")])
        assert ids(queries.read_list(OPERATOR, ALL, 10, []).rows) == ["mine"]
