"""Real processes in groups of their own, with their logs in files; none outlives the tests, however those end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from scripts import children
from tests.harness.need import ROOT
from tests.harness.wait import until

TAIL_LINES = 30
#: Django, Celery and daphne start within 5 s; a busy machine with many at once takes its time.
START_S = 90


class Process:
    """One started command. `log` holds what it wrote, standard output and error together."""

    def __init__(self, name: str, argv: list[str], env: dict[str, str], directory: Path, cwd: Path = ROOT) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self._begin = self.log.stat().st_size if self.log.exists() else 0
        self.process = children.spawn(argv, self.log, env=env, cwd=cwd)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def text(self) -> str:
        """Return all that this start of it wrote."""
        return self.log.read_bytes()[self._begin :].decode(errors="replace")

    def tail(self) -> str:
        """Return the last lines of its log, with its name above them."""
        lines = self.text().splitlines()[-TAIL_LINES:]
        return "\n".join([f"--- {self.name} (exit code {self.process.poll()}), last lines:", *lines])

    def wait_for(self, probe: Any, what: str, seconds: float = START_S) -> None:
        """Wait until the probe says yes; a process that dies meanwhile is an error at once."""

        def answered() -> object:
            if not self.alive:
                raise AssertionError(f"{self.name} ended before {what}.\n{self.tail()}")
            return probe()

        until(answered, f"{self.name}: {what}", seconds, self.tail)

    def kill(self) -> None:
        """Kill it with all of its group, as a power cut does."""
        children.kill(self.process)

    def ask_to_stop(self) -> None:
        """Send SIGTERM and return at once."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds: float = 15) -> int:
        """End it in order, kill what is left at the deadline, and return its exit code."""
        return children.stop(self.process, (signal.SIGTERM, seconds))


class Console:
    """A process of the stack that does what the journey asks: `tests.harness.console`, over a pipe."""

    def __init__(self, env: dict[str, str], directory: Path) -> None:
        self.log = directory / "console.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.harness.console"],
                cwd=ROOT,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._turn = threading.Lock()

    def ask(self, call: str, *args: Any, **options: Any) -> Any:
        """Call a function of `calls` there and return what it returns. Raises AssertionError with its traceback."""
        assert self.process.stdin and self.process.stdout
        with self._turn:
            question = {"call": call, "args": args, "options": options}
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"the console died:\n{self.log.read_text()[-3000:]}"}
        if "error" in answer:
            raise AssertionError(f"{call} failed in the console: {answer['error']}")
        return answer["result"]

    def stop(self) -> None:
        """Close the pipe, which ends it."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process.stdout.close()


def answers(url: str) -> bool:
    """Say whether GET gives 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
