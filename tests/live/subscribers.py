"""Sockets without a network: an outbox that a hub fills, and a page that reads it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from live import events, queries, topics
from live.feed import FeedKey, list_key
from live.hub import Hub
from live.outbox import Outbox, opened
from live.recorder import Recorder
from tests.live.feed_model import Client

OPERATOR = queries.Viewer(username="operator", sees_all=True)
CLERK = queries.Viewer(username="clerk", sees_all=False)
RUNS = list_key(OPERATOR, topics.Filter(), 50)


class Socket:
    """A socket's outbox, and a page that reads what is put there."""

    def __init__(self, hub: Hub, key: FeedKey = RUNS) -> None:
        self.hub, self.key = hub, key
        self.outbox, self.page = Outbox(), Client(key.limit)
        self.frames: list[str] = []

    @property
    def kinds(self) -> list[str]:
        return [json.loads(frame)["type"] for frame in self.frames]

    async def subscribe(self, since: tuple[str, int] | None = None) -> None:
        await self.hub.subscribe(self.key, self.outbox, "a", since)

    def unsubscribe(self) -> None:
        self.hub.unsubscribe(self.key, self.outbox, "a")

    def read(self) -> dict[str, str]:
        """Take all that waits; return the states that the page shows, in its order."""
        while not self.outbox.empty:
            frame, behind = self.outbox.take()
            if behind:
                frame = opened("snapshot", behind, self.hub.snapshot(self.key) or "")
            self.frames.append(frame)
            self.page.take(frame)
        return {row.id: row.state for row in self.page.rows}


class Gate:
    """Counts a hub's questions to the database, and holds the answers back until it is opened."""

    def __init__(self, hub: Hub, monkeypatch: pytest.MonkeyPatch, is_open: bool = True) -> None:
        self.asked = 0
        self.opened = asyncio.Event()
        self._ask = hub.in_pool
        if is_open:
            self.opened.set()
        monkeypatch.setattr(hub, "in_pool", self.in_pool)

    async def in_pool(self, ask: Any) -> Any:
        self.asked += 1
        answer = await self._ask(ask)
        await self.opened.wait()
        return answer


def record() -> None:
    """Take all of the log into the database."""
    recorder = Recorder()
    while recorder.step():
        pass
    recorder.log.close()


def counts(*states: str) -> dict[str, int]:
    """Return the counts of runs in these states."""
    return {state: states.count(state) for state in events.STATES}
