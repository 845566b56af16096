"""Latency: from the moment of a signal in the worker to the parsed frame at a WebSocket client, on an idle system."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from bench.figures import Figure, Spread, at_most, percentile, say, write
from bench.pages import Frame, Frames, Page, close_pages, log_in, open_pages, until
from bench.stage import Stage

VARIANTS = ("live", "recipe")
STATES = ("received", "running", "succeeded")
TURNS = 3
TASKS = 64
GAP_S = 0.15
#: Every second task is empty, so that its three signals come within a few ms.
WORK_S = 0.075
P50_GOAL_MS = 10
P99_GOAL_MS = 40
LAST_FRAME_S = 10.0

SEND = """
import sys, time
from bench.apps.celery import work
count, gap_s, work_s = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
for number in range(count):
    work.apply_async([number % 2 * work_s])
    time.sleep(gap_s)
"""


class Side:
    """One variant's worker, server and page."""

    def __init__(self, stage: Stage, variant: str) -> None:
        self.stage = stage
        self.variant = variant
        self.signals = stage.dir / f"{variant}-signals"
        self.signals.touch()
        self.seen: dict[tuple[str, str], int] = {}
        self.page = Page(Frames(), self.note)
        cookie = log_in(stage, variant)
        _, port = stage.server(variant)
        self.worker = stage.worker(variant, BENCH_SIGNALS=str(self.signals))
        asyncio.get_event_loop().run_until_complete(open_pages(port, cookie, variant, [self.page]))

    def note(self, moment_ns: int, frame: Frame) -> None:
        """Note when the page knew of a state; who sees a later state knows the earlier ones."""
        for run_id, row in frame.rows.items():
            if row["state"] in STATES:
                for state in STATES[: STATES.index(row["state"]) + 1]:
                    self.seen.setdefault((run_id, state), moment_ns)

    def knows(self, before: int, tasks: int) -> bool:
        """Whether all of a turn's signals were given and have reached the page."""
        signals = read_signals(self.signals)[before:]
        return len(signals) == tasks * len(STATES) and all((signal[0], signal[1]) in self.seen for signal in signals)

    async def turn(self, tasks: int) -> dict[str, list[float]]:
        """Run some tasks and return the latencies in ms by state."""
        before = len(read_signals(self.signals))
        arguments = ("-c", SEND, str(tasks), str(GAP_S), str(WORK_S))
        await asyncio.to_thread(self.stage.run, self.variant, *arguments)
        await until(lambda: self.knows(before, tasks), LAST_FRAME_S, "the page knows of every signal")
        signals = read_signals(self.signals)[before:]
        found: dict[str, list[float]] = {state: [] for state in STATES}
        for run_id, state, moment_ns in signals:
            found[state].append((self.seen[run_id, state] - moment_ns) / 1e6)
        return found


def read_signals(path: Path) -> list[tuple[str, str, int]]:
    """Return the noted signals: task id, state, moment in ns."""
    return [json.loads(line) for line in path.read_text().splitlines()]


async def take_turns(sides: list[Side]) -> dict[str, list[dict[str, list[float]]]]:
    """Let the sides take turns, after one unmeasured turn each."""
    found: dict[str, list[dict[str, list[float]]]] = {side.variant: [] for side in sides}
    for side in sides:
        await side.turn(10)
    for number in range(TURNS):
        for side in sides if number % 2 == 0 else sides[::-1]:
            turn = await side.turn(TASKS)
            found[side.variant].append(turn)
            values = [value for state in STATES for value in turn[state]]
            shown = ", ".join(f"{state} {percentile(turn[state], 50):.1f}" for state in STATES)
            p50, p99 = percentile(values, 50), percentile(values, 99)
            say(f"latency {number + 1}/{TURNS} {side.variant:7} p50 {p50:.1f} ms, p99 {p99:.1f} ms (p50: {shown})")
    for side in sides:
        close_pages([side.page])
    return found


def run() -> str:
    """Measure, write the table and return it."""
    with Stage() as stage, asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        sides = [Side(stage, variant) for variant in VARIANTS]
        found = runner.run(take_turns(sides))
    figures = []
    for variant in VARIANTS:
        name = "`live`" if variant == "live" else "the recipe"
        turns = [[value for state in STATES for value in turn[state]] for turn in found[variant]]
        every = [value for turn in turns for value in turn]
        for percent, goal in ((50, P50_GOAL_MS), (99, P99_GOAL_MS)):
            spread = Spread.of([percentile(turn, percent) for turn in turns])
            what, value = f"{name}: p{percent}, ms", percentile(every, percent)
            shown = f"{value:.1f}; by turn {spread.show(1)}"
            figures.append(at_most(what, value, goal, shown) if variant == "live" else Figure(what, shown))
        for state in STATES:
            values = [value for turn in found[variant] for value in turn[state]]
            shown = ", ".join(f"{percentile(values, percent):.1f}" for percent in (50, 99))
            figures.append(Figure(f"{name}: {state}, p50 and p99, ms", f"{shown}, slowest {max(values):.1f}"))
    about = (
        f"One worker, one web server and one WebSocket client for each side; {TURNS} turns of {TASKS} tasks, one each "
        f"{GAP_S * 1000:.0f} ms, every second of them empty, the others {WORK_S * 1000:.0f} ms long. Measured from the "
        "signal (a receiver of the benchmark's own, called first) to the parsed frame that shows that state or a later "
        "one, for received, running and succeeded alike."
    )
    return write("latency", "Latency, idle", about, figures)
