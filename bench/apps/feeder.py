"""Sends changes of runs at a steady rate, as a worker would: `python -m bench.apps.feeder RATE SECONDS RUNS ROUND`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import django

WORKER = "live@bench"
#: The life of a run: state and progress out of 100.
LIFE = (("queued", None), ("running", 0), ("running", 40), ("running", 80), ("succeeded", 100))


def changes(count: int, runs: int, round: str) -> Iterator[tuple[str, str, int | None]]:
    """Return run, state and progress of each change; some runs live side by side, and one that ends is followed."""
    for number in range(count):
        step, place = divmod(number, runs)
        life, at = divmod(step, len(LIFE))
        yield f"run-{round}-{life}-{place}", *LIFE[at]


def live_sender() -> Callable[[str, str, int | None], dict[str, Any]]:
    """Send rows as `live` does."""
    from live import events, publish

    # Else the recorder calls the runs lost, as their worker gives no sign of life.
    publish.publisher().keep_alive(WORKER, time.time_ns() // 1000)

    def send(run_id: str, state: str, done: int | None) -> dict[str, Any]:
        moment = time.time_ns() // 1000
        phase = events.Phase.BEFORE if state == "queued" else events.Phase.SINCE
        progress = None if done is None else events.Progress(current=done, total=100, unit="rows", at=moment)
        now = datetime.fromtimestamp(moment / 1e6, UTC)
        row = events.Row(
            id=run_id,
            task="bench.work",
            state=state,
            queue="celery",
            worker=WORKER,
            progress=progress,
            args="[1, 2]",
            kwargs="{}",
            queued_at=datetime.fromtimestamp(1_700_000_000, UTC),
            started_at=None if phase == events.Phase.BEFORE else now,
            version=events.Version(1, phase, moment),
        )
        publish.publisher().put(row)
        return {"state": state, "progress": done}

    return send


def recipe_sender() -> Callable[[str, str, int | None], dict[str, Any]]:
    """Send messages as the recipe does, but on one loop: only the web server is measured here."""
    from channels.layers import get_channel_layer

    from bench.apps.recipe import GROUP

    loop, layer = asyncio.new_event_loop(), get_channel_layer()

    def send(run_id: str, state: str, done: int | None) -> dict[str, Any]:
        values = {"id": run_id, "task": "bench.work", "state": state, "progress": done}
        message = {"type": "task.update", **values, "moment": time.time_ns() // 1000}
        loop.run_until_complete(layer.group_send(GROUP, message))
        return {"state": state, "progress": done}

    return send


def main(rate: int, seconds: float, runs: int, round: str) -> None:
    """Send, then print what every page must show in the end."""
    django.setup()
    from django.conf import settings

    send = live_sender() if settings.VARIANT == "live" else recipe_sender()
    final = {}
    began_s = time.monotonic()
    for number, change in enumerate(changes(int(rate * seconds), runs, round)):
        time.sleep(max(0.0, began_s + number / rate - time.monotonic()))
        final[change[0]] = send(*change)
    print(json.dumps(final))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
