"""Starts processes, waits until each answers, notices when one dies, and stops all in order."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts import children
from scripts.environment import require_free_disk
from scripts.exceptions import LaunchError

STEP_S = 0.1
WATCH_S = 0.2
LOG_BYTES = 20_000_000  # a log that has grown beyond becomes <name>.log.1


@dataclass
class Child:
    """One process of ours."""

    name: str
    command: Sequence[str | Path]
    #: Says whether it answers; asked until it does.
    answers: Callable[[], bool]
    env: Mapping[str, str]
    #: Signals, and seconds to wait after each, before it is killed.
    stop_steps: tuple[tuple[int, float], ...] = ((signal.SIGTERM, 0.5),)


@dataclass
class Supervisor:
    """Keeps children; the first started is the last stopped."""

    logs: Path
    cwd: Path
    children: dict[str, tuple[Child, subprocess.Popen[bytes]]] = field(default_factory=dict)

    def log(self, name: str) -> Path:
        """Return where a child writes."""
        return self.logs / f"{name}.log"

    def fresh_log(self, name: str) -> Path:
        """Return where a child is going to write; what the last one wrote is kept once."""
        log = self.log(name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        return log

    def start(self, child: Child) -> None:
        """Start a child, with an empty log."""
        self.adopt(child, children.spawn(child.command, self.fresh_log(child.name), child.env, self.cwd))

    def adopt(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        """Take over a child that was started elsewhere."""
        self.children[child.name] = (child, process)

    def wait_for(self, names: Sequence[str], seconds: float) -> None:
        """Wait until these children answer. Raises LaunchError when one dies or the time is over."""
        missing = list(names)
        deadline = time.monotonic() + seconds
        while missing:
            self.require_alive()
            missing = [name for name in missing if not self.children[name][0].answers()]
            if missing and time.monotonic() > deadline:
                told = "\n".join(self.explain(name) for name in missing)
                raise LaunchError(f"No answer within {seconds:.0f} s from: {', '.join(missing)}.\n{told}")
            time.sleep(STEP_S if missing else 0)

    def watch(self) -> None:
        """Return never, but raise LaunchError when a child dies; meanwhile keep the logs bounded."""
        while True:
            self.require_alive()
            for name in self.children:
                self.bound_log(name)
            time.sleep(WATCH_S)

    def require_alive(self) -> None:
        """Raise LaunchError, with a child's name and the end of its log, if one has died."""
        for name, (_, process) in self.children.items():
            code = process.poll()
            if code is None:
                continue
            sentence = children.tail(self.log(name), 1)
            if sentence.startswith("CommandError: "):  # it has said itself, to the user, what is wrong
                raise LaunchError(sentence.removeprefix("CommandError: "))
            require_free_disk(self.logs)  # then that is why, and the log cannot say it
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise LaunchError(f"The {name} process {how}, so all is stopped. {self.explain(name)}")

    def explain(self, name: str) -> str:
        """Return the end of a child's log, with a heading."""
        return f"The last lines of {self.log(name)}:\n{children.tail(self.log(name))}"

    def bound_log(self, name: str) -> None:
        """Move a long log's content away; the child goes on writing to the same file."""
        log = self.log(name)
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.with_suffix(".log.1").write_bytes(log.read_bytes())
            os.truncate(log, 0)

    def stop(self) -> None:
        """Stop all, the last started first."""
        for child, process in reversed(self.children.values()):
            children.stop(process, *child.stop_steps)

    def kill(self) -> None:
        """Kill all at once."""
        for _, process in reversed(self.children.values()):
            children.kill(process)
