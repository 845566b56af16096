"""The processes of one benchmark: a Valkey of its own, workers, servers; all are gone when the stage closes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import psutil
from redis import Redis

from scripts import redis_server

ROOT = Path(__file__).resolve().parent.parent
#: A database of Redis for each variant, so that none sees the others' keys.
DATABASES = {"bare": 0, "live": 1, "recipe": 2, "events": 3}
WAIT_S = 60.0  # until a condition holds, or the benchmark fails


class Stage:
    """Starts and ends what is measured; everything it writes goes to a directory that is removed."""

    def __init__(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="tat-bench-"))
        self.processes: list[subprocess.Popen[bytes]] = []
        self.redis = redis_server.start(self.dir / "redis", aof=True)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        for process in list(self.processes):
            self.end(process)
        self.redis.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def url(self, variant: str) -> str:
        """Return the address of the variant's database."""
        return f"{self.redis.url.rsplit('/', 1)[0]}/{DATABASES[variant]}"

    def client(self, variant: str) -> Redis:
        """Return a client for the variant's database."""
        return Redis.from_url(self.url(variant))

    def environ(self, variant: str, **more: str) -> dict[str, str]:
        """Return the environment of a process of this variant."""
        ours = {
            "BENCH_VARIANT": variant,
            "BENCH_REDIS_URL": self.url(variant),
            "BENCH_DIR": str(self.dir),
            "DJANGO_SETTINGS_MODULE": "bench.apps.settings",
            "PYTHONPATH": str(ROOT),
        }
        return {**os.environ, **ours, **more}

    def run(self, variant: str, *arguments: str, **environ: str) -> str:
        """Run Python to its end and return what it printed."""
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, env=self.environ(variant, **environ), cwd=self.dir, capture_output=True, text=True, timeout=WAIT_S
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout

    def spawn(self, variant: str, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start Python in a process group of its own; what it says goes to <variant>.log."""
        with open(self.dir / f"{variant}.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env=self.environ(variant, **environ),
                cwd=self.dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def worker(self, variant: str, *options: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a worker with one prefork child."""
        options = ("--pool=prefork", "--concurrency=1", "--without-mingle", "--loglevel=warning", *options)
        name = f"--hostname={variant}@%n"
        return self.spawn(variant, "-m", "celery", "-A", "bench.apps.celery", "worker", name, *options, **environ)

    def server(self, variant: str) -> tuple[subprocess.Popen[bytes], int]:
        """Start the variant's web server, `live_server` or a plain daphne, and wait until it listens."""
        port = free_port()
        if variant == "live":
            command = ["-m", "django", "live_server", "--host", "127.0.0.1", "--port", str(port)]
        else:
            command = ["-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "bench.apps.asgi:application"]
        process = self.spawn(variant, *command)
        self.wait(lambda: listens(port), f"the {variant} server listens", variant, process)
        return process, port

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a process and its children; nothing of theirs is needed any more."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process in self.processes:
            self.processes.remove(process)

    def wait(
        self, holds: Callable[[], bool], what: str, variant: str, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        """Wait until the condition holds; if it does not in time, or the process ends, say so with the log's end."""
        deadline = time.monotonic() + WAIT_S
        while not holds():
            if time.monotonic() > deadline or (process is not None and process.poll() is not None):
                log = self.dir / f"{variant}.log"
                tail = log.read_text()[-3000:] if log.exists() else ""
                raise RuntimeError(f"Expected within {WAIT_S:.0f} s that {what}. The log's end:\n{tail}")
            time.sleep(0.05)


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """Return the CPU time used so far by a process and its children, in seconds."""
    whole = psutil.Process(process.pid)
    times = [one.cpu_times() for one in [whole, *whole.children(recursive=True)]]
    return sum(one.user + one.system for one in times)


def free_port() -> int:
    """Let the system choose a port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody listens on the port."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0
