"""A throw-away PostgreSQL of our own for tests: a fresh cluster on loopback, gone when it is stopped."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from scripts import children
from scripts.exceptions import PostgresServerError
from scripts.redis_server import free_port

START_S = 20.0
PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)


@dataclass
class RunningPostgres:
    """A PostgreSQL server that we started."""

    port: int
    process: subprocess.Popen[bytes]
    directory: Path
    owner: str | None

    @property
    def url(self) -> str:
        """Its address, as DATABASE_URL takes it; the user may make databases."""
        return f"postgres://tat@127.0.0.1:{self.port}/postgres"

    def kill(self) -> None:
        """End it at once, as a crash would: connections are cut; `start_again` brings it back with its data.

        SIGKILL would leave the processes of its connections to their work for a while.
        """
        children.stop(self.process, (signal.SIGQUIT, 5.0))

    def start_again(self) -> None:
        """Start it on the same data and port, and return when it takes connections."""
        self.process = _spawn(self.directory, self.port, self.owner)
        _wait_until_it_answers(self)

    def stop(self) -> None:
        """Stop it and throw its data away."""
        children.stop(self.process, (signal.SIGINT, 5.0))
        shutil.rmtree(self.directory)


def find_programs() -> Path:
    """Return the directory that holds `initdb` and `postgres`, the newest version first.

    Raises PostgresServerError with a sentence that says what to do.
    """
    found = [Path(path).resolve().parent for path in filter(None, [shutil.which("initdb")])]
    for pattern in PLACES:
        found += sorted(Path("/").glob(pattern[1:]), key=_version, reverse=True)
    for directory in found:
        if (directory / "initdb").exists() and (directory / "postgres").exists():
            return directory
    raise PostgresServerError(
        "No PostgreSQL server was found: install it"
        " (Debian, Ubuntu: apt install postgresql; macOS: brew install postgresql)."
    )


def start() -> RunningPostgres:
    """Make a cluster in a temporary directory, start it, and return when it takes connections.

    PostgreSQL refuses to be root: then it runs as the user `postgres`. Raises PostgresServerError.
    """
    programs = find_programs()
    owner = _owner()
    directory = Path(tempfile.mkdtemp(prefix="tat-postgres-"))
    if owner:
        shutil.chown(directory, owner)
    options = ("--username=tat", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
    made = subprocess.run(
        [programs / "initdb", "--pgdata", directory / "data", *options],
        user=owner,
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        shutil.rmtree(directory)
        raise PostgresServerError(f"initdb failed: {made.stderr.strip()}")
    port = free_port()
    postgres = RunningPostgres(port, _spawn(directory, port, owner), directory, owner)
    _wait_until_it_answers(postgres)
    return postgres


def _owner() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise PostgresServerError("PostgreSQL refuses to run as root, and there is no user `postgres`.") from None


def _spawn(directory: Path, port: int, owner: str | None) -> subprocess.Popen[bytes]:
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "max_connections": "200"}
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    command: list[str | Path] = [find_programs() / "postgres", "-D", directory / "data", "-p", str(port), *settings]
    log = directory / "postgres.log"
    log.write_bytes(b"")
    return children.spawn(command, log, cwd=directory, user=owner)


def _wait_until_it_answers(postgres: RunningPostgres) -> None:
    log = postgres.directory / "postgres.log"
    deadline = time.monotonic() + START_S
    while "is ready to accept connections" not in children.tail(log):  # of this start: the log begins with it
        if time.monotonic() > deadline or postgres.process.poll() is not None:
            told = children.tail(log)
            postgres.stop()
            raise PostgresServerError(f"PostgreSQL did not start; its log ends with:\n{told}")
        time.sleep(0.05)


def _version(directory: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(directory))]
