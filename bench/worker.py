"""Worker cost: what `live`, the usual recipe and task events add to a worker that drains empty tasks."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from bench.figures import Figure, Spread, at_least, at_most, say, write
from bench.stage import Stage, cpu_s

#: Empty tasks a turn. The slow peers drain fewer, as all figures are per task.
TASKS = {"bare": 3_000, "live": 3_000, "events": 1_500, "recipe": 500}
NAMES = {"bare": "bare Celery", "live": "`live`", "events": "task events", "recipe": "the recipe"}
TURNS = 5
#: After the last task, so that work put off until then counts as well.
SETTLE_S = 0.5
RATE_GOAL = 0.90
CPU_GOAL = 1.10

SEND = """
import sys
from bench.apps.celery import app, empty, mark
mark.apply_async()
for _ in range(int(sys.argv[1])):
    empty.apply_async()
mark.apply_async()
"""
COUNT_STATES = """
import collections, json, django
django.setup()
from live import events, stream
rows = [row for entry in stream.Log().read(0, 100_000) for row in events.decode_rows(entry.rows)]
print(json.dumps(collections.Counter(row.state for row in events.merge_all(rows).values())))
"""


class Turn(NamedTuple):
    """One worker's drain."""

    rate: float  # tasks a second
    cpu_ms: float  # a task, worker and child together


def enqueue(stage: Stage) -> dict[str, list[bytes]]:
    """Send all tasks once, by a producer with `live` on, and return each variant's messages as Redis keeps them."""
    client = stage.client("live")
    stage.run("live", "-c", SEND, str(max(TASKS.values())))
    last, *others = client.lrange("live:celery", 0, -1)
    return {variant: [last, *others[-count - 1 :]] for variant, count in TASKS.items()}


def drain(stage: Stage, variant: str, messages: list[bytes]) -> Turn:
    """Start a worker on the same messages in an empty Redis, and measure from the first task to the last."""
    client = stage.client(variant)
    client.flushdb()
    client.rpush(f"{variant}:celery", *messages)
    marks = stage.dir / "marks"
    marks.unlink(missing_ok=True)
    options = ["--task-events"] if variant == "events" else []
    worker = stage.worker(variant, *options, BENCH_MARKS=str(marks))
    try:
        stage.wait(lambda: count_lines(marks) == 2, f"the {variant} worker drains its queue", variant, worker)
        settle(worker)
        end_cpu_s = cpu_s(worker)
    finally:
        stage.end(worker)
    first, last = (json.loads(line) for line in marks.read_text().splitlines())
    count = TASKS[variant]
    if variant == "live":
        check_states(stage, count)
    return Turn(count / (last["at_s"] - first["at_s"]), (end_cpu_s - first["cpu_s"]) * 1000 / count)


def settle(worker: subprocess.Popen[bytes]) -> None:
    """Give a worker the time to finish what it put off."""
    try:
        worker.wait(SETTLE_S)
    except subprocess.TimeoutExpired:
        return
    raise RuntimeError("Expected the worker to live on after its last task; it ended.")


def check_states(stage: Stage, count: int) -> None:
    """Hold that `live` announced every run's end: what is dropped costs nothing."""
    states = Counter(json.loads(stage.run("live", "-c", COUNT_STATES)))
    if states != {"succeeded": count + 2}:
        raise RuntimeError(f"Expected {count + 2} runs in the log, all succeeded; it holds {dict(states)}.")


def count_lines(path: Path) -> int:
    """Return how many whole lines the file holds."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def measure(turns: int = TURNS) -> dict[str, list[Turn]]:
    """Run all variants in turns, in another order each time."""
    order = list(TASKS)
    found: dict[str, list[Turn]] = {variant: [] for variant in order}
    with Stage() as stage:
        messages = enqueue(stage)
        for number in range(turns):
            for variant in order:
                turn = drain(stage, variant, messages[variant])
                found[variant].append(turn)
                say(
                    f"worker {number + 1}/{turns} {variant:7} {turn.rate:6.0f} tasks/s {turn.cpu_ms:6.2f} ms CPU a task"
                )
            order = order[1:] + order[:1]
    return found


def compare(found: dict[str, list[Turn]]) -> list[Figure]:
    """Return each variant against bare Celery, turn by turn, and what both were."""
    figures = []
    for variant in ("live", "events", "recipe"):
        pairs = list(zip(found[variant], found["bare"], strict=True))
        rate = Spread.of([one.rate / bare.rate for one, bare in pairs])
        cpu = Spread.of([one.cpu_ms / bare.cpu_ms for one, bare in pairs])
        what = f"{NAMES[variant]} / bare: "
        if variant == "live":
            figures.append(at_least(what + "tasks a second", rate.median, RATE_GOAL, rate.show()))
            figures.append(at_most(what + "CPU a task", cpu.median, CPU_GOAL, cpu.show()))
        else:
            figures += [Figure(what + "tasks a second", rate.show()), Figure(what + "CPU a task", cpu.show())]
    for variant, name in NAMES.items():
        rate, cpu = (Spread.of(values) for values in zip(*found[variant], strict=True))
        figures += [Figure(f"{name}: tasks a second", rate.show(0)), Figure(f"{name}: CPU a task, ms", cpu.show())]
    return figures


def run(turns: int = TURNS) -> str:
    """Measure, write the table and return it."""
    about = (
        f"One worker with one prefork child drains {TASKS['live']:,} empty tasks (task events {TASKS['events']:,}, "
        f"the recipe {TASKS['recipe']:,}), results ignored, in {turns} turns of all four. The messages are the same, "
        "made by a producer with `live` on; Redis and the database are the same. The time is taken in the first and in "
        f"the last task; CPU time is that of the worker and its child until {SETTLE_S} s after the last. After each "
        "turn the log must hold every run's success. The recipe: `async_to_sync(group_send)` on received, prerun and "
        "success."
    )
    return write("worker", "Worker cost", about, compare(measure(turns)))
