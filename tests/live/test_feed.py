"""A feed: whatever the order in which log, news, database and reloads meet, its pages show what is true."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from live import events, queries
from live.feed import FeedKey
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
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_page_is_true_at_every_flush_and_equals_the_database_in_the_end(
    settings: Any, key: FeedKey, tail_rows: int, happening: list[tuple[str, int]]
) -> None:
    settings.LIVE_TAIL_ROWS = tail_rows
    story = Story(key)

    for name, number in happening:
        story.happen(name, number)

    story.world.settle()
    for page in story.pages:
        story.world.resume(page)
