"""The processes of ./run: how each is started, how one sees that it answers, and how it is stopped."""

from __future__ import annotations

import re
import signal
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from scripts.environment import PYTHON
from scripts.supervisor import Child, Supervisor

HOST = "127.0.0.1"
ANSWER_S = 60.0
WORKER = "run"  # not `celery`: a second terminal starts one of that name
WORKER_PROCESSES = 2
# Seconds to wait after each signal, before a child is killed; together nine, as all must have stopped within ten.
WEB_STOPS = ((signal.SIGTERM, 2.3),)  # it gives its sockets 2 s for their last frames
BEAT_STOPS = ((signal.SIGTERM, 1.0),)
REDIS_STOPS = ((signal.SIGTERM, 1.5),)
MAIL_STOPS = ((signal.SIGTERM, 0.5),)
# First Celery's warm shutdown; then its cold one, which gives back what cannot end in time.
WORKER_STOPS = ((signal.SIGTERM, 3.0), (signal.SIGQUIT, 0.7))


@dataclass
class Processes:
    """Makes the children; all load Django at once, beat prepares the database, and then `go` lets the others start."""

    supervisor: Supervisor
    env: dict[str, str]
    port: int
    go: Path

    def beat(self) -> Child:
        """Prepares the database, then beat; with remote control it says when it has reached Redis."""
        command = self._held("make", "celery", "-A", "tat", "beat", "--loglevel=INFO", "--enable-remote-control")
        return Child("beat", command, lambda: self._said("beat", "beat pidbox: Connected to"), self.env, BEAT_STOPS)

    def web(self) -> Child:
        """The web server; it answers when /healthz does."""
        command = self._held("wait-for", "manage.py", "live_server", "--host", HOST, "--port", str(self.port))
        return Child("web", command, self._web_answers, {**self._env(), "DATABASE_POOL": "1"}, WEB_STOPS)

    def worker(self) -> Child:
        """A prefork worker. Without talk among many workers it starts a second sooner."""
        command = self._held("wait-for", "celery", "-A", "tat", "worker", "--loglevel=INFO")
        command += [f"--concurrency={WORKER_PROCESSES}", f"--hostname={WORKER}@%h"]
        command += ["--without-mingle", "--without-gossip"]
        return Child("worker", command, self._worker_is_ready, self._env(), WORKER_STOPS)

    def mail(self) -> Child:
        """The mail server that keeps what it gets; it needs no database."""
        command: list[str | Path] = [PYTHON, "manage.py", "mail_sink", "--port", self.env["EMAIL_PORT"]]
        return Child("mail", command, lambda: self._said("mail", "The mail sink listens"), self._env(), MAIL_STOPS)

    def _held(self, what: str, program: str, *arguments: str) -> list[str | Path]:
        return [PYTHON, "-m", "scripts.hold", what, self.go, program, *arguments]

    def _env(self) -> dict[str, str]:
        return {name: value for name, value in self.env.items() if name != "TAT_ADMIN_PASSWORD"}

    def _said(self, name: str, pattern: str) -> bool:
        return re.search(pattern, self.supervisor.log(name).read_text(errors="replace")) is not None

    def _worker_is_ready(self) -> bool:
        return self._said("worker", rf" {WORKER}@\S+ ready\.")

    def _web_answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{HOST}:{self.port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
