"""The processes of ./run: how each is started, how one sees that it answers, and how it is stopped."""

from __future__ import annotations

import signal
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from scripts.environment import PYTHON
from scripts.supervisor import Child, Supervisor

HOST = "127.0.0.1"
ANSWER_S = 45.0
WORKER_PROCESSES = 2
# Seconds to wait after each signal, before a child is killed; together under ten.
WEB_STOPS = ((signal.SIGTERM, 1.5),)
BEAT_STOPS = ((signal.SIGTERM, 1.0),)
REDIS_STOPS = ((signal.SIGTERM, 1.5),)
# First Celery's warm shutdown; then its cold one, which gives back what cannot end in time.
WORKER_STOPS = ((signal.SIGTERM, 4.0), (signal.SIGQUIT, 1.0))


@dataclass
class Processes:
    """Makes the children; web, worker and beat load Django at once, and start when `go` is there."""

    supervisor: Supervisor
    env: dict[str, str]
    port: int
    go: Path

    def prepare(self) -> Child:
        """Migrates and seeds; then, its Django being loaded, it also asks worker and beat whether they answer."""
        command: list[str | Path] = [PYTHON, "manage.py", "prepare", "run", "celerybeat", f"--seconds={ANSWER_S}"]
        return Child("prepare", command, lambda: self._prepare_said("prepared"), self.env, may_end=True)

    def web(self) -> Child:
        """The web server; it answers when /healthz does."""
        command = self._held("manage.py", "live_server", "--host", HOST, "--port", str(self.port))
        return Child("web", command, self._web_answers, {**self._env(), "DATABASE_POOL": "1"}, WEB_STOPS)

    def worker(self) -> Child:
        """A prefork worker. Without talk among many workers it starts a second sooner."""
        command = self._held("celery", "-A", "tat", "worker", "--loglevel=INFO", f"--concurrency={WORKER_PROCESSES}")
        command += ["--hostname=run@%h", "--without-mingle", "--without-gossip"]
        return Child("worker", command, lambda: self._prepare_said("run answers"), self._env(), WORKER_STOPS)

    def beat(self) -> Child:
        """Beat, which answers a ping too."""
        command = self._held("celery", "-A", "tat", "beat", "--loglevel=INFO", "--enable-remote-control")
        return Child("beat", command, lambda: self._prepare_said("celerybeat answers"), self._env(), BEAT_STOPS)

    def _held(self, program: str, *arguments: str) -> list[str | Path]:
        return [PYTHON, "-m", "scripts.hold", self.go, program, *arguments]

    def _env(self) -> dict[str, str]:
        return {name: value for name, value in self.env.items() if name != "TAT_ADMIN_PASSWORD"}

    def _prepare_said(self, line: str) -> bool:
        return f"{line}\n" in self.supervisor.log("prepare").read_text(errors="replace")

    def _web_answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{HOST}:{self.port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
