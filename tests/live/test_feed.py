"""A feed: whatever the order in which log, news, database and reloads meet, its pages show what is true."""

from __future__ import annotations

import copy
import json
import re
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from live import events, queries, topics
from live.feed import FeedKey, list_key
from tests.live.feed_model import World, key_for
from tests.live.rows import NOON, make_row

pytestmark = pytest.mark.django_db

KEYS = [
    key_for(2),
    key_for(1, state=("running",)),
    key_for(3, state=("queued", "failed")),
    key_for(2, sees_all=False),
    key_for(2, sees_all=False, state=("running", "retrying"), task="import"),
    key_for(2, q="IMP"),
]
RUNS = [(f"run-{number}", "import" if number % 3 else "export", ("clerk", "other")[number % 2]) for number in range(8)]

#: What happens next, by name; the number chooses among what it can be done with.
happenings = st.tuples(
    st.sampled_from(
        ["begin run"] * 3
        + ["change run"] * 5
        + ["hear"] * 6
        + ["look", "record", "record", "step reading", "step reading", "step reading"]
        + ["flush", "flush", "keep page", "resume", "trim", "begin life"]
    ),
    st.integers(0, 2**16),
)


class Story:
    """Makes of each happening something that Redis, Celery and a page could do."""

    def __init__(self, key: FeedKey) -> None:
        self.world = World(key)
        self.begun: list[tuple[str, str, str]] = []
        self.pages: list[Any] = []

    def happen(self, name: str, number: int) -> None:
        getattr(self, name.replace(" ", "_"))(number)

    def row(self, run: tuple[str, str, str], state: str, number: int) -> events.Row:
        queued_at = NOON + timedelta(minutes=int(run[0][4:]) * 7 % 5)
        attempt = 1 if state == "queued" else 1 + number // 9 % 2
        return make_row(
            run[0], state, task=run[1], owner=run[2], queued_at=queued_at, moment=1 + number % 9, attempt=attempt
        )

    def begin_run(self, number: int) -> None:
        """A run is sent; its worker may be heard before its sender."""
        waiting = [run for run in RUNS if run not in self.begun]
        if waiting:
            run = waiting[number % len(waiting)]
            self.begun.append(run)
            states = [["queued"], ["queued", "received"], ["received", "queued"]][number % 3]
            for state in states:
                self.world.log.append([self.row(run, state, 0)])

    def change_run(self, number: int) -> None:
        if self.begun:
            runs = [self.begun[number % len(self.begun)], self.begun[number // 64 % len(self.begun)]][: 1 + number % 2]
            states = [state for state in events.STATES if state != "queued"]
            self.world.log.append([self.row(run, states[number // 16 % len(states)], number // 16) for run in runs])

    def hear(self, number: int) -> None:
        for _ in range(1 + number % 3):
            self.world.hear()

    def look(self, number: int) -> None:
        self.world.look()

    def record(self, number: int) -> None:
        self.world.record(1 + number % 4)

    def step_reading(self, number: int) -> None:
        self.world.step_reading()

    def flush(self, number: int) -> None:
        self.world.flush()

    def keep_page(self, number: int) -> None:
        self.pages.append(copy.deepcopy(self.world.client))

    def resume(self, number: int) -> None:
        if self.pages:
            self.world.resume(copy.deepcopy(self.pages[number % len(self.pages)]))

    def trim(self, number: int) -> None:
        self.world.trim()

    def begin_life(self, number: int) -> None:
        self.world.begin_life(kept=number % (self.world.log.seq + 1))


@given(st.sampled_from(KEYS), st.sampled_from([6, 1_000]), st.lists(happenings, min_size=40, max_size=80))
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_page_is_true_at_every_flush_and_equals_the_database_in_the_end(
    key: FeedKey, tail_rows: int, happening: list[tuple[str, int]]
) -> None:
    with override_settings(LIVE_TAIL_ROWS=tail_rows):
        story = Story(key)

        for name, number in happening:
            story.happen(name, number)

        story.world.settle()
        for page in story.pages:
            story.world.resume(page)


@pytest.fixture
def busy() -> World:
    """A list of the newest running run, of which there are five: the oldest is run-4."""
    world = World(key_for(1, state=("running",)))
    for number in range(5):
        world.log.append([queued(number), run_row(number, "running", 1)])
    world.record(5)
    world.look()
    world.finish(world.hub._read(world.feed))
    world.flush()
    return world


def queued(number: int) -> events.Row:
    return make_row(f"run-{number}", "queued", queued_at=NOON - timedelta(minutes=number))


def run_row(number: int, state: str, moment: int, **fields: Any) -> events.Row:
    return make_row(f"run-{number}", state, queued_at=NOON - timedelta(minutes=number), moment=moment, **fields)


def say(world: World, *rows: events.Row) -> None:
    world.log.append(list(rows))
    world.hear()
    world.flush()


def listed(world: World) -> list[str]:
    return [row.id for row in world.client.rows]


def test_an_old_row_that_changes_does_not_take_the_place_of_a_newer_one_that_is_not_held(busy: World) -> None:
    say(busy, run_row(0, "succeeded", 2))
    say(busy, run_row(4, "running", 2))
    say(busy, run_row(1, "succeeded", 2))

    assert busy.feed.doubtful, "which run comes next only the database knows"
    busy.settle()
    assert listed(busy) == ["run-2"]


def test_a_row_that_leaves_is_followed_by_the_next_without_a_query(busy: World) -> None:
    say(busy, run_row(0, "succeeded", 2))

    assert listed(busy) == ["run-1"]
    assert not busy.feed.doubtful


def test_in_doubt_the_sockets_are_told_no_new_place_in_the_log(busy: World) -> None:
    epoch, before = busy.client.since
    page = copy.deepcopy(busy.client)

    say(busy, run_row(0, "succeeded", 2), run_row(1, "succeeded", 2))
    in_doubt = copy.deepcopy(busy.client)
    busy.settle()

    assert in_doubt.since == (epoch, before)
    assert in_doubt.rows == []
    busy.resume(in_doubt)
    assert in_doubt.rows == busy.client.rows != page.rows


def test_what_nobody_knows_is_not_counted_before_the_database_was_asked(busy: World) -> None:
    counts = busy.client.counts

    say(busy, run_row(9, "failed", 5))

    assert busy.feed.doubtful
    assert busy.client.counts == counts
    busy.settle()
    assert busy.client.counts == {**counts, "failed": 1}


def test_a_change_that_others_may_not_see_is_not_sent(busy: World) -> None:
    mine = World(FeedKey(viewer=queries.Viewer("clerk", sees_all=False), limit=5))
    before = mine.feed.seq

    say(mine, make_row("secret", "queued", owner="other"))
    say(mine, make_row("secret", "failed", owner="other"))

    assert mine.client.rows == []
    assert sum(mine.client.counts.values()) == 0
    assert mine.feed.seq == before, "not even that something happened"


def test_a_change_that_is_none_of_a_lists_costs_it_no_merge(busy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    merged: list[str] = []
    merge = events.merge
    monkeypatch.setattr(events, "merge", lambda one, other: merged.append(one.id) or merge(one, other))
    feed = World(FeedKey(viewer=queries.Viewer("clerk", sees_all=False), limit=5)).feed

    for owner in ("other", "clerk"):
        queued, running = (make_row(owner, state, owner=owner) for state in ("queued", "running"))
        feed.apply(queued, running, False)

    assert merged == ["clerk"]


def test_one_run_comes_with_its_tries(busy: World) -> None:
    one = World(FeedKey(viewer=queries.Viewer("clerk", sees_all=True), run_id="run-0"))
    say(one, run_row(0, "running", 1, worker="w1"))
    say(one, run_row(0, "running", 3, attempt=2, worker="w2"))

    say(one, run_row(0, "retrying", 2, worker="w1"))

    assert [(found["number"], found["state"]) for found in one.client.attempts] == [(1, "retrying"), (2, "running")]
    one.record(10)
    stored = queries.attempts(one.feed.key.viewer, "run-0")
    assert one.client.attempts == msgspec.to_builtins(stored)
    one.finish(one.hub._read(one.feed))
    one.flush()
    assert one.client.attempts == msgspec.to_builtins(stored)


def test_a_run_that_is_tried_for_ever_shows_its_last_tries(busy: World) -> None:
    one = World(FeedKey(viewer=queries.Viewer("clerk", sees_all=True), run_id="run-0"))

    for number in range(1, 61):
        say(one, run_row(0, "retrying", number, attempt=number))

    assert [found["number"] for found in one.client.attempts] == list(range(11, 61))
    one.record(100)
    assert msgspec.to_builtins(queries.attempts(one.feed.key.viewer, "run-0")) == one.client.attempts


def test_the_run_of_another_looks_like_one_that_is_not_there(busy: World) -> None:
    mine = queries.Viewer("clerk", sees_all=False)
    theirs = World(FeedKey(viewer=mine, run_id="theirs"))
    say(theirs, make_row("theirs", "running", owner="other"))
    nothing = World(FeedKey(viewer=mine, run_id="nothing"))

    frames = [re.sub("theirs|nothing", "", world.feed.snapshot()) for world in (theirs, nothing)]

    assert json.loads("{" + frames[0])["runs"] == []
    assert frames[0].replace(f'"seq":{theirs.feed.seq}', "") == frames[1].replace(f'"seq":{nothing.feed.seq}', "")


@pytest.mark.parametrize(
    ("asked", "limit"), [(None, 50), (0, 1), (1, 1), (-5, 1), (200, 200), (201, 200), (10**30, 200)]
)
def test_a_limit_is_held_within_what_is_allowed(asked: int | None, limit: int) -> None:
    key = list_key(queries.Viewer("clerk", sees_all=False), topics.Filter(), asked)

    assert key.limit == limit
