"""A real ./run in a copy of the project, as a user would start it."""

from __future__ import annotations

import os
import queue
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import psutil

from scripts.redis_server import free_port
from tests.harness.need import ROOT

BANNER_S = 90.0  # on a busy machine; how fast it is on a quiet one is measured elsewhere
STOP_S = 10.0
LEFT_OUT = shutil.ignore_patterns(".venv", "var", ".git", "node_modules", "*_cache", "__pycache__", "tests", "docs")


def copy_project(to: Path) -> Path:
    """Copy what a clone holds, beside the .venv that is there already."""
    shutil.copytree(ROOT, to, ignore=LEFT_OUT)
    (to / ".venv").symlink_to(ROOT / ".venv")
    return to


def clean_env(**more: str) -> dict[str, str]:
    """Return what a new terminal has: nothing that these tests or a running tat set."""
    ours = ("DEBUG", "DJANGO_", "DATABASE_", "LIVE_", "REDIS_", "SECRET_", "TAT_", "CELERY_", "PYTEST_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **more}


class Start:
    """One start of ./run: what it printed, and the processes that it made."""

    def __init__(self, directory: Path, port: int | None = None, **env: str) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.text = ""
        self.family: list[psutil.Process] = []
        self.process = subprocess.Popen(
            [directory / "run", "--port", str(self.port)],
            env=clean_env(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, words: str, seconds: float = BANNER_S) -> Start:
        """Wait until it has printed these words."""
        while words not in self.text:
            line = self._lines.get(timeout=seconds)
            assert line, f"./run ended before it printed {words!r}. It printed:\n{self.text}"
            self.text += line
        self.family = psutil.Process(self.process.pid).children(recursive=True)
        return self

    def rest(self, seconds: float = STOP_S) -> str:
        """Wait until it has ended, and return all that it printed."""
        self.process.wait(seconds)
        while line := self._lines.get(timeout=seconds):
            self.text += line
        return self.text

    def child(self, words: str) -> psutil.Process:
        """Return the child whose command holds these words."""
        parents = [child for child in self.family if child.ppid() == self.process.pid]
        return next(child for child in parents if words in " ".join(child.cmdline()))

    def password(self) -> str:
        """Return the admin's password: the banner says it, or where an earlier start has kept it."""
        found = re.search(r"password (?:(\S+) \(kept in|in) (\S+?)\)?\n", self.text)
        assert found, self.text
        return found[1] or (self.directory / found[2]).read_text().strip()

    def leftovers(self, seconds: float = STOP_S) -> list[psutil.Process]:
        """Return the processes that it made and that still run after a while."""
        return [process for process in psutil.wait_procs(self.family, seconds)[1] if process.status() != "zombie"]

    def end(self) -> None:
        """Stop it whatever it does, so that no test leaves anything."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_S + 5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for process in self.leftovers():
            process.kill()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self._lines.put(line)
        self._lines.put("")
