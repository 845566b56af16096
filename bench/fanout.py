"""Fan-out: many sockets on the topic `runs` of one daphne process, 20 changes a second."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, NamedTuple

import psutil

from bench.figures import Figure, Spread, at_least, at_most, percentile, say, write
from bench.pages import Frame, Frames, Page, close_pages, log_in, open_pages, until
from bench.stage import Stage, cpu_s

SOCKETS = 500
MANY_SOCKETS = 2_000
RATE = 20  # changes a second
SECONDS = 10
RECIPE_SECONDS = 5
RUNS = 20  # at a time
TURNS = 3
#: After the last change, the time a server has to bring every page up to date.
CATCH_UP_S = 5.0
P99_GOAL_MS = 150
CPU_GOAL = 0.2


class Turn(NamedTuple):
    """One flood of changes to all pages."""

    sockets: int
    changes: int
    #: Pages whose rows are in the end what the feeder says they are.
    exact: int
    #: Milliseconds from a change to each page that heard of it.
    latencies: list[float]
    #: CPU time of the server in microseconds, by page and change that reached it or was overtaken by a newer one.
    cpu_us: float
    #: The server's memory a socket, in KiB.
    memory_kib: float

    def show(self) -> str:
        """Return the turn in a line."""
        p50, p99 = (percentile(self.latencies, percent) for percent in (50, 99))
        exact = f"{self.exact} of {self.sockets} exact"
        return f"{exact}, p50 {p50:.0f} ms, p99 {p99:.0f} ms, {self.cpu_us:.0f} µs CPU a socket and change"


class Flood:
    """Pages of one server, and what they hear during a turn."""

    def __init__(self, variant: str, sockets: int) -> None:
        self.variant = variant
        frames = Frames()
        self.pages = [Page(frames, self.note) for _ in range(sockets)]
        self.latencies: list[float] = []

    def note(self, moment_ns: int, frame: Frame) -> None:
        """Note how old a frame's changes are."""
        for row in frame.rows.values():
            moment_us = row["version"][2] if self.variant == "live" else row["moment"]
            self.latencies.append(moment_ns / 1e6 - moment_us / 1e3)

    def count_exact(self, final: dict[str, dict[str, Any]]) -> int:
        """Return how many pages show what they should."""
        return sum(all(shows(page.rows.get(run_id), row) for run_id, row in final.items()) for page in self.pages)

    async def run(self, stage: Stage, seconds: float, round: str) -> Turn:
        """Start a server, open the pages, feed the changes, and measure until all pages are exact or the time is up."""
        cookie = log_in(stage, self.variant)
        process, port = stage.server(self.variant)
        memory = psutil.Process(process.pid).memory_info().rss
        await open_pages(port, cookie, self.variant, self.pages)
        memory = psutil.Process(process.pid).memory_info().rss - memory
        before_s = cpu_s(process)
        feeder = ("-m", "bench.apps.feeder", str(RATE), str(seconds), str(RUNS), round)
        final = json.loads(await asyncio.to_thread(stage.run, self.variant, *feeder))
        with contextlib.suppress(TimeoutError):
            await until(lambda: self.count_exact(final) == len(self.pages), CATCH_UP_S, "every page is exact")
        exact = self.count_exact(final)
        used_s = cpu_s(process) - before_s
        close_pages(self.pages)
        stage.end(process)
        changes = int(RATE * seconds)
        # A page that is exact knows of every change, though `live` tells of several in one frame.
        known = changes * len(self.pages) if self.variant == "live" else len(self.latencies)
        sockets = len(self.pages)
        return Turn(sockets, changes, exact, self.latencies, used_s * 1e6 / known, memory / 1024 / sockets)


def shows(row: dict[str, Any] | None, wanted: dict[str, Any]) -> bool:
    """Whether a page's row is in the wanted state, with the wanted progress."""
    if row is None or row["state"] != wanted["state"]:
        return False
    progress = row["progress"]
    return bool((progress["current"] if isinstance(progress, dict) else progress) == wanted["progress"])


async def flood(stage: Stage, variant: str, sockets: int, seconds: float, round: str) -> Turn:
    """Run one turn and report it."""
    turn = await Flood(variant, sockets).run(stage, seconds, round)
    say(f"fan-out {variant:7} {turn.show()}")
    return turn


async def measure(stage: Stage) -> tuple[list[Turn], list[Turn], Turn]:
    """Let both take turns, then try many sockets."""
    ours, theirs = [], []
    for number in range(TURNS):
        ours.append(await flood(stage, "live", SOCKETS, SECONDS, str(number)))
        theirs.append(await flood(stage, "recipe", SOCKETS, RECIPE_SECONDS, str(number)))
    return ours, theirs, await flood(stage, "live", MANY_SOCKETS, SECONDS, "many")


def run() -> str:
    """Measure, write the table and return it."""
    with Stage() as stage:
        ours, theirs, many = asyncio.run(measure(stage))
    figures = []
    figures += figures_of(f"`live`, {SOCKETS} sockets", ours, P99_GOAL_MS)
    ratio = Spread.of([one.cpu_us / other.cpu_us for one, other in zip(ours, theirs, strict=True)])
    figures.append(at_most("`live` / recipe: server CPU a socket and change", ratio.median, CPU_GOAL, ratio.show()))
    figures += figures_of(f"`live`, {MANY_SOCKETS:,} sockets", [many])
    p99 = Spread.of([percentile(turn.latencies, 99) for turn in theirs])
    figures.append(Figure(f"the recipe, {SOCKETS} sockets: p99, ms", p99.show(0)))
    told = Spread.of([100 * len(turn.latencies) / turn.changes / turn.sockets for turn in theirs])
    figures.append(Figure(f"the recipe, {SOCKETS} sockets: changes told, %", told.show(0)))
    cpu = Spread.of([turn.cpu_us for turn in theirs])
    figures.append(Figure(f"the recipe, {SOCKETS} sockets: µs CPU a socket and change", cpu.show(0)))
    about = (
        f"One web server process (daphne; for `live` with the recorder in it), {RATE} changes a second for {SECONDS} s "
        f"(the recipe {RECIPE_SECONDS} s, as it falls behind), {TURNS} turns each. A page is exact when its rows are "
        f"in the end what the feeder sent last; a server has {CATCH_UP_S:.0f} s after the last change. CPU time is the "
        "web server's, by socket and change (the recipe: by frame that arrived). The clients are one light process."
    )
    return write("fanout", "Fan-out", about, figures)


def figures_of(name: str, turns: list[Turn], p99_goal_ms: float | None = None) -> list[Figure]:
    """Return the figures of `live` with one number of sockets."""
    exact = min(turn.exact for turn in turns)
    p99 = Spread.of([percentile(turn.latencies, 99) for turn in turns])
    p50 = Spread.of([percentile(turn.latencies, 50) for turn in turns])
    what = f"{name}: p99, ms"
    return [
        at_least(f"{name}: exact in the end", exact, turns[0].sockets, f"{exact:,} in every turn"),
        at_most(what, p99.median, p99_goal_ms, p99.show(0)) if p99_goal_ms else Figure(what, p99.show(0)),
        Figure(f"{name}: p50, ms", p50.show(0)),
        Figure(f"{name}: µs CPU a socket and change", Spread.of([turn.cpu_us for turn in turns]).show(0)),
        Figure(f"{name}: memory a socket, KiB", Spread.of([turn.memory_kib for turn in turns]).show(0)),
    ]
