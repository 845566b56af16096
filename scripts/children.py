"""Child processes that never outlive us: each leads its own process group, and a reaper stops what we leave behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts import reaper

STOP_S = 8.0

#: The write end of the pipe to our reaper, by the process that made it: a fork gets one of its own.
_reapers: dict[int, int] = {}

# The child registers itself before it becomes the command, so no moment is left in which a `kill -9` orphans it.
_REGISTER = 'echo "$$" >&0; exec "$@" </dev/null'


def spawn(
    command: Sequence[str | Path],
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, with both outputs appended to `log`.

    `env` None means ours, and `user` None means ourselves.
    """
    with open(log, "ab") as output:
        return subprocess.Popen(
            ["/bin/sh", "-c", _REGISTER, "sh", *map(str, command)],
            stdin=_reaper(),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            user=user,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes], *steps: tuple[int, float]) -> int:
    """Stop a child and its group, and return its exit code.

    `steps` are signals and the seconds to wait after each, by default SIGTERM and 8 s; after the last it is killed.
    """
    for number, seconds in steps or ((signal.SIGTERM, STOP_S),):
        if process.poll() is not None:
            break
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
    return kill(process)


def kill(process: subprocess.Popen[bytes]) -> int:
    """Kill a child and its group at once, and return its exit code."""
    reaper.kill_group(process.pid)
    code = process.wait()
    with contextlib.suppress(BrokenPipeError):  # somebody killed the reaper
        os.write(_reaper(), b"-%d\n" % process.pid)
    return code


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log, "" when there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65_536))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def _reaper() -> int:
    if os.getpid() not in _reapers:
        start_reaper()
    return _reapers[os.getpid()]


def start_reaper(keep: Sequence[int] = ()) -> None:
    """Start this process's reaper; `keep` are file descriptors (a lock) that it holds until all is stopped."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", reaper.__file__],
        stdin=subprocess.PIPE,
        start_new_session=True,
        pass_fds=keep,
    )
    assert process.stdin is not None
    _reapers[os.getpid()] = os.dup(process.stdin.fileno())
    process.stdin.close()
    process.returncode = 0  # it ends after us; without this, Popen warns that it still runs
