"""What the tests of the sweeper do: let workers give signs of life, look, and hear what is announced then."""

from __future__ import annotations

import time

from live import events, publish, stream
from live.sweeper import Sweeper
from tests.live.publishers import log_rows

NOW_US = time.time_ns() // 1_000
HOUR_US = 3_600_000_000


def beat_long_ago(log: stream.Log, worker: str, seconds: int) -> None:
    """Give a sign of life as if it were so old."""
    now = log.redis.time()[0]
    log.redis.hset(stream.key("workers"), worker, f"{NOW_US - HOUR_US} {now - seconds}")


def sweep(log: stream.Log) -> dict[str, events.Row]:
    """Sweep once and return what was announced."""
    Sweeper(log).sweep_lost()
    publish.flush()
    return events.merge_all(log_rows())


def sweep_twice(log: stream.Log) -> dict[str, events.Row]:
    """Sweep twice with one sweeper and return what was announced."""
    sweeper = Sweeper(log)
    assert sweeper.sweep_lost() == 0
    sweeper.sweep_lost()
    publish.flush()
    return events.merge_all(log_rows())
