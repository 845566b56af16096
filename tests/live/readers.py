"""What the tests of the read side do: say rows, ask the database from async code, take a table away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

from channels.layers import get_channel_layer
from django.db import connection
from django.test import override_settings

from live import events, publish, stream
from live.follower import Follower
from tests.harness.stack import Stack

T = TypeVar("T")


class Announcer:
    """Says rows as a publisher does: into the log and, when asked, as news on the channel layer too."""

    def __init__(self) -> None:
        self.log = stream.Log()
        self.log.look_for_life()

    def __enter__(self) -> Announcer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.log.close()

    def __call__(self, *rows: events.Row) -> int:
        """Append one entry and return its seq; the news of it is lost."""
        while True:
            try:
                return self.log.append(events.encode_rows(rows))
            except stream.EpochChanged:
                continue

    async def tell(self, *rows: events.Row) -> int:
        """Append one entry and tell the news of it."""
        seq = self(*rows)
        await self.news(seq, *rows)
        return seq

    async def news(self, seq: int, *rows: events.Row, **fields: Any) -> None:
        """Tell the news of an entry, whether it is in the log or not."""
        message = {"type": publish.NEWS, "epoch": self.log.epoch, "seq": seq, "rows": events.encode_rows(rows)}
        await layer().group_send(publish.GROUP, {**message, **fields})


@contextmanager
def log_of(stack: Stack) -> Iterator[Announcer]:
    """Say rows to the Redis of a stack."""
    with override_settings(LIVE_REDIS_URL=stack.redis.url), Announcer() as announcer:
        yield announcer


def layer() -> Any:
    """Return the channel layer of the running loop."""
    found = get_channel_layer()
    assert found is not None
    return found


async def until_listening(follower: Follower) -> None:
    """Return once the follower hears the news."""
    await eventually(follower.ready.is_set, "the first look")
    await eventually(lambda: layer().groups, "the subscription")
    await layer().send("nobody", {"type": "nothing"})  # it returns once the subscription is made


async def leave_layer() -> None:
    """Close the channel layer's connections of this loop."""
    await layer().flush()


async def in_thread(work: Callable[..., T], *args: Any) -> T:
    """Do something with the database from async code, in a thread that leaves no connection behind."""

    def run() -> T:
        try:
            return work(*args)
        finally:
            connection.close()

    return await asyncio.to_thread(run)


async def eventually(probe: Callable[[], object], what: str, seconds: float = 5) -> None:
    """Return once the probe says yes; fail at the deadline."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not probe():
        assert asyncio.get_running_loop().time() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.01)


def take_table_away(name: str) -> None:
    """Rename a table, so that what asks the database for it fails, on SQLite as on PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {name} RENAME TO {name}_away")


def give_table_back(name: str) -> None:
    """Undo `take_table_away`."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {name}_away RENAME TO {name}")
