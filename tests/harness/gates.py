"""Gates: a task waits until the journey opens one, so that a journey sees every step and sleeps in none.

A gate is a file, so it holds while Redis and the database are away. `<name>.at` says that a task stands before it.
"""

from __future__ import annotations

import time
from pathlib import Path

from tests.harness.wait import until

STEP_S = 0.02
LIMIT_S = 90


class Gates:
    """The gates of one stack, in a directory that its processes share."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def open(self, *names: str) -> None:
        """Let through whoever waits, and whoever comes."""
        for name in names:
            (self.directory / name).touch()

    def open_all(self) -> None:
        """Let through every task that has come to any gate, and to the next ones of its row."""
        for path in list(self.directory.glob("*.at")):
            name = path.name.removesuffix(".at").split(".")[0]
            self.open(name, *(f"{name}.{number}" for number in range(10)))

    def wait_for_arrival(self, name: str, times: int = 1, seconds: float = 30) -> None:
        """Return once a task has come to the gate that many times; each redelivery comes again."""
        until(lambda: self.arrivals(name) >= times, f"a task to come to gate {name!r} {times} times", seconds)

    def arrivals(self, name: str) -> int:
        """Return how often a task has come to the gate."""
        path = self.directory / f"{name}.at"
        return path.stat().st_size if path.exists() else 0

    def note(self, name: str) -> None:
        """What a task calls: note the arrival and go on."""
        with (self.directory / f"{name}.at").open("ab") as arrivals:
            arrivals.write(b".")

    def pass_through(self, name: str) -> None:
        """What a task calls: note the arrival, and wait until the gate is open."""
        self.note(name)
        deadline = time.monotonic() + LIMIT_S
        while not (self.directory / name).exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"gate {name!r} stayed shut for {LIMIT_S} s")
            time.sleep(STEP_S)
