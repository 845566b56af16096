"""The whole of tat as real processes on free ports, with a Redis, a database and a directory of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts import redis_server
from tests.harness.gates import Gates
from tests.harness.need import ROOT
from tests.harness.processes import Console, Process, answers
from tests.harness.wait import until

CELERY = [sys.executable, "-m", "celery", "-A", "tests.harness.app"]
#: Variables of whoever runs the tests that must not reach the stack.
FOREIGN = tuple("DATABASE_ EMAIL_ REDIS_ ALLOWED_HOSTS CELERY_ DJANGO_ LIVE_ TAT_ JOURNEY_ PYTEST_ LOG_".split())


def environment(**values: str) -> dict[str, str]:
    """Return what every process of a stack is started with."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    fixed = {
        "DEBUG": "1",
        "SECRET_KEY": "for-the-journeys-only-" + "x" * 40,
        "DJANGO_SETTINGS_MODULE": "tests.harness.settings",
        "PYTHONUNBUFFERED": "1",
    }
    return {**kept, **fixed, **values}


class Stack:
    """Redis, a console, and what the journey starts of web server, worker, beat and recorder; `close` ends all."""

    def __init__(self, directory: Path, database_url: str, **settings: Any) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.gates = Gates(directory / "gates")
        self.processes: dict[str, Process] = {}
        self.redis = redis_server.start(directory / "redis")
        self.port = redis_server.free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.mail_port = redis_server.free_port()
        self.env = environment(
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=str(self.mail_port),
            TAT_VAR_DIR=str(directory),
            REDIS_URL=self.redis.url,
            DATABASE_URL=database_url,
            JOURNEY_VISIBILITY_S=str(settings.pop("visibility_s", 900)),
            JOURNEY_SETTINGS=json.dumps(settings),
        )
        self.console = Console(self.env, directory)
        self.ask = self.console.ask

    def start(self, *names: str) -> Stack:
        """Start processes by name (web, worker, beat, recorder, mail) side by side, then wait until each answers."""
        for name in names:
            self.processes[name] = Process(name, self._command(name), self.env, self.directory)
        for name in names:
            self.processes[name].wait_for(self._sign(name), "it answers")
        return self

    def send(self, task: str, *args: Any, **options: Any) -> str:
        """Send one task and return its id; see `calls.send`."""
        return str(self.ask("send", task, list(args), **options)[0])

    def wait_for_state(self, run_id: str, *states: str, seconds: float = 30) -> dict[str, Any]:
        """Return the recorded row of a run once it is in one of the states."""

        def in_state() -> dict[str, Any] | None:
            row = self.ask("run", run_id)
            return row if row and row["state"] in states else None

        def story() -> str:
            return f"Recorded is {self.ask('run', run_id)}.\n{self.tails()}"

        return until(in_state, f"run {run_id} to be {' or '.join(states)}", seconds, story)

    def manage(self, *args: str, seconds: float = 60) -> str:
        """Run `manage.py` to its end and return what it printed."""
        command = [sys.executable, "manage.py", *args]
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=seconds)
        assert done.returncode == 0, f"manage.py {' '.join(args)} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    def kill(self, name: str) -> None:
        """Kill a process with all of its group, as a power cut does."""
        self.processes[name].kill()

    def stop(self, name: str, seconds: float = 20) -> int:
        """End a process in order and return its exit code."""
        return self.processes[name].stop(seconds)

    def kill_redis(self) -> None:
        """Kill Redis as a crash would."""
        self.redis.kill()

    def restart_redis(self) -> None:
        """Start Redis again on the same port, with the same files."""
        self.redis = redis_server.start(self.redis.directory, port=self.redis.port)

    def tails(self) -> str:
        """Return the ends of all logs, for a failure's report."""
        return "\n".join(process.tail() for process in self.processes.values())

    def close(self) -> None:
        """End everything: first whoever sends, all at once, then Redis."""
        for process in self.processes.values():
            process.ask_to_stop()
        self.console.stop()
        for process in self.processes.values():
            process.stop(5)
        self.redis.stop()

    def _command(self, name: str) -> list[str]:
        return {
            "web": [sys.executable, "manage.py", "live_server", "--host", "127.0.0.1", "--port", str(self.port)],
            "recorder": [sys.executable, "manage.py", "live_recorder"],
            "worker": [*CELERY, "worker", "-c", "2", "-l", "info"],
            "beat": [*CELERY, "beat", "-l", "info"],
            "mail": [sys.executable, "manage.py", "mail_sink", "--port", str(self.mail_port)],
        }[name]

    def _sign(self, name: str) -> Callable[[], object]:
        process = self.processes[name]
        return {
            "web": lambda: answers(f"{self.origin}/healthz"),
            "worker": lambda: self.ask("workers"),
            "beat": lambda: "beat: Starting" in process.text(),
            "recorder": lambda: process.text(),
            "mail": lambda: "The mail sink listens" in process.text(),
        }[name]


#: Starts a stack: names of processes, and settings by name.
MakeStack = Callable[..., Stack]
