"""Worker cost: what `live`, the usual recipe and task events add to a worker that drains empty tasks."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

from bench.figures import Figure, Spread, at_least, at_most, say, write
from bench.stage import Stage, cpu_s

NAMES = {"bare": "bare Celery", "live": "`live`", "events": "task events", "recipe": "the recipe"}
TURNS = 5
#: A turn drains this many slices, one variant after the other, so that a busy neighbour hits all alike.
SLICES = 4
#: Empty tasks a slice. The slow peers drain fewer, as all figures are per task.
TASKS = {"bare": 750, "live": 750, "events": 400, "recipe": 120}
WARM_UP_TASKS = 50
#: After the last task of a slice, so that work put off until then counts as well.
SETTLE_S = 0.2
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
COUNT_ENDS = """
import django
django.setup()
from live import events, stream
entries = stream.Log().read(0, 100_000)
print(sum(row.state == "succeeded" for entry in entries for row in events.decode_rows(entry.rows)))
"""


class Drain(NamedTuple):
    """What draining some tasks took."""

    tasks: int
    wall_s: float
    cpu_s: float  # worker and child together

    def __add__(self, other: object) -> Drain:
        assert isinstance(other, Drain)
        return Drain(self.tasks + other.tasks, self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)

    @property
    def rate(self) -> float:
        """Tasks a second."""
        return self.tasks / self.wall_s

    @property
    def cpu_ms(self) -> float:
        """CPU time a task."""
        return self.cpu_s * 1000 / self.tasks


class Side:
    """One variant's worker, which waits for its next slice."""

    def __init__(self, stage: Stage, variant: str) -> None:
        self.stage = stage
        self.variant = variant
        self.redis = stage.client(variant)
        self.redis.flushdb()
        self.marks = stage.dir / f"{variant}-marks"
        self.marks.unlink(missing_ok=True)
        options = ["--task-events"] if variant == "events" else []
        self.worker = stage.worker(variant, *options, BENCH_MARKS=str(self.marks))

    def drain(self, messages: list[bytes], tasks: int) -> Drain:
        """Have the worker drain this many of the messages, between the two marks among them."""
        last, *others = messages
        done = count_lines(self.marks) + 2
        self.redis.rpush(f"{self.variant}:celery", last, *others[-tasks - 1 :])
        what = f"the {self.variant} worker drains its queue"
        self.stage.wait(lambda: count_lines(self.marks) == done, what, self.variant, self.worker)
        time.sleep(SETTLE_S)
        end_cpu_s = cpu_s(self.worker)
        first, end = (json.loads(line) for line in self.marks.read_text().splitlines()[-2:])
        return Drain(tasks, end["at_s"] - first["at_s"], end_cpu_s - first["cpu_s"])


def count_lines(path: Path) -> int:
    """Return how many whole lines the file holds."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def check_ends(stage: Stage) -> None:
    """Hold that `live` announced every run's end: what is dropped costs nothing."""
    wanted = WARM_UP_TASKS + SLICES * TASKS["live"] + 2 * (SLICES + 1)
    found = int(stage.run("live", "-c", COUNT_ENDS))
    if found != wanted:
        raise RuntimeError(f"Expected {wanted} ends of runs in the log; it holds {found}.")


def take_turn(stage: Stage, messages: list[bytes]) -> dict[str, Drain]:
    """Start all workers, and let them drain their slices one after the other, in another order each time."""
    sides = [Side(stage, variant) for variant in NAMES]
    for side in sides:
        side.drain(messages, WARM_UP_TASKS)
    found: dict[str, Drain] = {}
    for _ in range(SLICES):
        for side in sides:
            drained = side.drain(messages, TASKS[side.variant])
            found[side.variant] = found[side.variant] + drained if side.variant in found else drained
        sides = sides[1:] + sides[:1]
    for side in sides:
        stage.end(side.worker)
    check_ends(stage)
    return found


def measure(turns: int) -> list[dict[str, Drain]]:
    """Run all turns on the same messages."""
    found = []
    with Stage() as stage:
        # Sent once, by a producer with `live` on; then each side gets them as Redis kept them.
        stage.run("live", "-c", SEND, str(max(TASKS.values())))
        messages = stage.client("live").lrange("live:celery", 0, -1)
        for number in range(turns):
            found.append(take_turn(stage, messages))
            for variant, drain in found[-1].items():
                shown = f"{drain.rate:5.0f} tasks/s, {drain.cpu_ms:5.2f} ms CPU each"
                say(f"worker {number + 1}/{turns} {variant:7} {shown}")
    return found


def compare(turns: list[dict[str, Drain]]) -> list[Figure]:
    """Return each variant against bare Celery, turn by turn, and what both were."""
    figures = []
    for variant in ("live", "events", "recipe"):
        rate = Spread.of([turn[variant].rate / turn["bare"].rate for turn in turns])
        cpu = Spread.of([turn[variant].cpu_ms / turn["bare"].cpu_ms for turn in turns])
        what = f"{NAMES[variant]} / bare: "
        if variant == "live":
            figures.append(at_least(what + "tasks a second", rate.median, RATE_GOAL, rate.show()))
            figures.append(at_most(what + "CPU a task", cpu.median, CPU_GOAL, cpu.show()))
        else:
            figures += [Figure(what + "tasks a second", rate.show()), Figure(what + "CPU a task", cpu.show())]
    for variant, name in NAMES.items():
        rate = Spread.of([turn[variant].rate for turn in turns])
        cpu = Spread.of([turn[variant].cpu_ms for turn in turns])
        figures += [Figure(f"{name}: tasks a second", rate.show(0)), Figure(f"{name}: CPU a task, ms", cpu.show())]
    return figures


def run(turns: int = TURNS) -> str:
    """Measure, write the table and return it."""
    whole = {variant: SLICES * tasks for variant, tasks in TASKS.items()}
    about = (
        f"A worker with one prefork child drains {whole['live']:,} empty tasks a turn (task events "
        f"{whole['events']:,}, the recipe {whole['recipe']:,}), results ignored; {turns} turns with fresh workers, and "
        f"within a turn the four take {SLICES} slices each by turns. The messages are the same, by a producer with "
        "`live` on. Time is taken in a slice's first and last task; CPU time is that of worker and child until "
        f"{SETTLE_S} s after it. After each turn the log must hold every run's success. The recipe: "
        "`async_to_sync(group_send)` on received, prerun and success."
    )
    return write("worker", "Worker cost", about, compare(measure(turns)))
