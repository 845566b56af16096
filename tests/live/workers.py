"""Real workers for the tests of the write side, on the tests' own Redis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from live import events
from tests.harness.processes import Process
from tests.harness.stack import CELERY, environment
from tests.harness.wait import until
from tests.live.publishers import log_rows

SETTINGS = {"LIVE_IGNORE_TASKS": ["celery.chord_unlock", "unit.unseen"]}


def start_worker(redis_url: str, directory: Path, pool: str, queue: str) -> Process:
    """Start a worker that knows the tasks of these tests, and wait until it takes messages."""
    env = environment(
        TAT_VAR_DIR=str(directory),
        REDIS_URL=redis_url,
        JOURNEY_SETTINGS=json.dumps({**SETTINGS, "CELERY_RESULT_BACKEND": redis_url}),
    )
    command = [*CELERY, "worker", "-P", pool, "-c", "2", "-Q", queue, "-n", f"{queue}@here", "-l", "info"]
    worker = Process(f"worker-{pool}", [*command, "-I", "tests.live.tasks"], env, directory)
    worker.wait_for(lambda: "ready." in worker.text(), "it is ready")
    return worker


def history(run_id: str) -> list[events.Row]:
    """Return every row of a run that the log has, in its order."""
    return [row for row in log_rows() if row.id == run_id]


def wait_for(run_id: str, *states: str, seconds: float = 20) -> events.Row:
    """Return a run's merged row once it is in one of the states."""

    def in_state() -> Any:
        row = events.merge_all(history(run_id)).get(run_id)
        return row if row and row.state in states else None

    def story() -> str:
        return "\n".join(f"{row.state} {row.version} {row.error}" for row in history(run_id))

    found: events.Row = until(in_state, f"run {run_id} to be {states}", seconds, story)
    return found
