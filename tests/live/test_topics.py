"""What a page can ask for: a filter means the same in an address, on the wire, in memory and in the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from live import events, models, queries, topics
from live.feed import FeedKey
from tests.live.rows import NOON, make_row

EVERYBODY = queries.Viewer(username="", sees_all=True)
#: Few letters, so that filters and rows meet; the last ones have a case that not every database knows.
letters = st.text("aAbB%_\\'\" .éÉßSıİſſ", max_size=4)
filters = st.builds(
    lambda state, exact, q: topics.Filter.from_wire({"state": state, "q": q, **exact}),
    st.lists(st.sampled_from(events.STATES), max_size=2),
    st.dictionaries(st.sampled_from(["task", "owner", "queue", "worker", "schedule"]), letters, max_size=2),
    letters,
)
runs = st.fixed_dictionaries(
    dict.fromkeys(("task", "title", "owner", "queue", "worker", "schedule"), letters)
    | {"state": st.sampled_from(events.STATES), "kind": st.sampled_from(events.KINDS)}
)


@pytest.fixture
def stored(db: None) -> Callable[[list[dict[str, str]]], list[events.Row]]:
    """Store these runs, and no others, and return them as rows."""

    def store(values: list[dict[str, str]]) -> list[events.Row]:
        version = {"version_attempt": 1, "version_phase": 1, "version_moment": 1}
        models.Run.objects.all().delete()
        models.Run.objects.bulk_create(
            models.Run(id=f"Run-é-{number}", queued_at=NOON, **version, **fields)
            for number, fields in enumerate(values)
        )
        return [queries.to_row(run) for run in models.Run.objects.all()]

    return store


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(runs, min_size=1, max_size=6), filter=filters)
def test_a_filter_means_the_same_in_memory_and_in_the_database(
    stored: Callable[..., list[events.Row]], values: list[dict[str, str]], filter: topics.Filter
) -> None:
    rows = stored(values)

    page = queries.page(EVERYBODY, filter, limit=100)
    counts = queries.counts(EVERYBODY, filter)

    assert [row.id for row in page] == [row.id for row in sorted(filter_all(rows, filter), key=events.sort_key)]
    in_scope = [row.state for row in rows if filter.matches_scope(row)]
    assert counts == {state: in_scope.count(state) for state in events.STATES}


def filter_all(rows: list[events.Row], filter: topics.Filter) -> list[events.Row]:
    key = FeedKey(viewer=EVERYBODY, filter=filter)
    return [row for row in rows if key.in_scope(row) and key.shows(row)]


@pytest.mark.parametrize(
    ("q", "found"),
    [("MARCH", True), ("of mar", True), ("import_ch", True), ("RUN-1", True), ("é", True), ("É", False), ("zz", False)],
)
def test_a_search_finds_a_part_of_title_task_or_id_whatever_the_case_of_a_to_z(
    stored: Callable[..., list[events.Row]], q: str, found: bool
) -> None:
    fields = {"state": "queued", "task": "billing.import_charges", "title": "Import of March.txt é"}
    stored([{**fields}, {"state": "queued", "task": "-", "title": "-"}])
    models.Run.objects.filter(task="billing.import_charges").update(id="run-1")
    filter = topics.Filter(q=q)

    page = [row.task for row in queries.page(EVERYBODY, filter, 10) if row.task != "-"]

    assert page == (["billing.import_charges"] if found else [])
    assert filter.matches_scope(make_row("run-1", **{**fields, "state": "queued"})) is found


@given(filters)
def test_a_filter_written_into_an_address_is_read_back_as_itself(filter: topics.Filter) -> None:
    assert topics.Filter.from_query(QueryDict(filter.as_query())) == filter


def test_an_address_may_hold_several_states_and_other_things() -> None:
    query = QueryDict("state=failed&state=lost&state=&q=+march+&page=3")

    filter = topics.Filter.from_query(query)

    assert filter == topics.Filter(state=("failed", "lost"), q="march")


def test_a_filter_is_read_from_any_mapping() -> None:
    assert topics.Filter.from_query({"state": "failed"}) == topics.Filter(state=("failed",))


def test_an_empty_filter_shows_everything_and_is_written_as_nothing() -> None:
    filter = topics.Filter.from_wire({})

    assert filter.matches_scope(make_row())
    assert filter.as_query() == ""


def test_the_same_states_in_another_order_are_the_same_filter() -> None:
    one = topics.Filter.from_wire({"state": ["lost", "failed", "lost"]})
    other = topics.Filter.from_wire({"state": ["failed", "lost"]})

    assert (one, hash(one)) == (other, hash(other))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "object"),
        (None, "object"),
        ({"colour": "red"}, "colour"),
        ({"x" * 1000: 1}, "'xxx"),
        ({"state": "done"}, "among queued"),
        ({"state": ["failed", []]}, "among queued"),
        ({"state": {"failed": 1}}, "among queued"),
        ({"state": 3}, "among queued"),
        ({"kind": "odd"}, "scheduled, ad_hoc, child"),
        ({"q": 3}, "q is a text"),
        ({"owner": None}, "owner is a text"),
        ({"task": "x" * 256}, "255"),
        ({"q": "a\x00b"}, "q is a text"),
        ({"q": "\ud800"}, "q is a text"),
    ],
    ids=str,
)
def test_a_filter_that_means_nothing_gets_a_short_sentence(value: Any, said: str) -> None:
    with pytest.raises(topics.BadFilter, match=said) as refused:
        topics.Filter.from_wire(value)

    assert len(str(refused.value)) < 200


def test_the_topic_of_a_run_is_read_back() -> None:
    assert topics.run_id_of(topics.run("a:b c")) == "a:b c"


@pytest.mark.parametrize("topic", ["", "runs", "run:", "run", "RUN:1", "run:\x00", "run:\ud800", "run:" + "x" * 256])
def test_other_topics_name_no_run(topic: str) -> None:
    assert topics.run_id_of(topic) is None
