"""Publishers of a test's own, and what has come of what they were given."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from live import events, publish, stream
from tests.harness.need import ROOT
from tests.harness.wait import until
from tests.live.rows import make_row


class OwnPublisher(publish.Publisher):
    """A publisher whose thread ends with its test."""

    def _run(self) -> None:
        with contextlib.suppress(SystemExit):
            super()._run()

    def close(self) -> None:
        """End the thread, whatever it is about."""
        self._beat = self._leave  # type: ignore[method-assign]
        self._encode = self._leave  # type: ignore[method-assign]
        self.put(make_row("end"))
        if self._thread is not None:
            self._thread.join(5)

    def _leave(self, *_: Any) -> Any:
        raise SystemExit


def log_rows() -> list[events.Row]:
    """Return every row that the log holds, in its order."""
    log = stream.Log()
    entries = log.read(0, 100_000)
    log.close()
    return [row for entry in entries for row in events.decode_rows(entry.rows)]


def log_ids() -> list[str]:
    """Return the runs of those rows."""
    return [row.id for row in log_rows()]


def wait_for_ids(*run_ids: str, seconds: float = 10) -> None:
    """Return once the log has rows of all these runs."""
    until(lambda: set(run_ids) <= set(log_ids()), f"{len(run_ids)} runs in the log", seconds, lambda: str(log_ids()))


def run_python(code: str, seconds: float = 60, **env: str) -> str:
    """Run statements in a process of their own, with Django set up; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup()\n{code}"],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def longest_s(calls: Callable[[int], object], times: int) -> float:
    """Call that often and return how long the longest call took."""
    longest = 0.0
    for number in range(times):
        begun = time.perf_counter()
        calls(number)
        longest = max(longest, time.perf_counter() - begun)
    return longest
