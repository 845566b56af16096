"""What ./run does: .venv, database, demo, Redis, worker, beat and web, one banner, and an orderly end."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from scripts import children, environment, redis_server, run_env
from scripts.environment import PYTHON, ROOT
from scripts.exceptions import LaunchError
from scripts.processes import ANSWER_S, HOST, REDIS_STOPS, Processes
from scripts.supervisor import Child, Supervisor

DISK_TROUBLES = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody asked us to stop: Ctrl-C, SIGTERM, or a closed terminal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until stopped; return the exit code, after one sentence for what the user can mend."""
    port = _parse(arguments).port
    _listen_to_signals()
    try:
        return _run(port, run_env.var_dir())
    except Stopped:
        return 0
    except LaunchError as error:
        _say(str(error), sys.stderr)
    except OSError as error:
        if error.errno not in DISK_TROUBLES:
            raise
        _say(f"{error.filename or run_env.var_dir()} cannot be used: {error.strerror}.", sys.stderr)
    return 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run",
        description="Start tat here: Redis, a worker, beat and the web server. Ctrl-C stops all of it.",
        epilog="Environment: REDIS_URL (a Redis to use, then none is started), DATABASE_URL (default: SQLite in var/), "
        "TAT_ADMIN_PASSWORD (password of the user admin, else a random one), TAT_VAR_DIR (default: var/).",
    )
    parser.add_argument("--port", type=_port, default=8000, metavar="N", help="the web server's port (default: 8000)")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 65_536):
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, and got {text!r}")
    return int(text)


def _run(port: int, var: Path) -> int:
    logs = var / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    environment.require_free_disk(var)
    address = f"http://{HOST}:{port}/"
    lock = run_env.lock(var, address)
    children.start_reaper(keep=[lock])
    _require_free(port)
    environment.ensure("requirements.txt")
    first = not (var / "admin-password").exists()
    supervisor = Supervisor(logs, ROOT)
    code = 0
    try:
        redis_url = _start(supervisor, port, var)
        _say(_banner(address, var, redis_url, first))
        supervisor.watch()
    except Stopped as stopped:
        _say(f"\nStopping ({stopped}) …")
    except LaunchError as error:
        _say(str(error), sys.stderr)
        code = 1
    finally:
        _stop(supervisor)
    _say("Stopped.")
    return code


def _start(supervisor: Supervisor, port: int, var: Path) -> str:
    values = run_env.compose(var, port)
    if "REDIS_URL" not in values:
        log = supervisor.fresh_log("redis")
        redis = redis_server.start(var / "redis", redis_server.usual_or_free_port(), logfile=log)
        supervisor.adopt(Child("redis", [], lambda: True, {}, REDIS_STOPS), redis.process)
        values["REDIS_URL"] = redis.url
    catches_mail = not {"EMAIL_HOST", "EMAIL_BACKEND"} & values.keys()
    if catches_mail:
        values |= {"EMAIL_HOST": HOST, "EMAIL_PORT": str(redis_server.free_port())}
    run_env.write(var, values)
    env = {**os.environ, **values, **environment.bytecode(var), "TAT_VAR_DIR": str(var), "PYTHONUNBUFFERED": "1"}
    go = var / "prepared"
    go.unlink(missing_ok=True)
    processes = Processes(supervisor, env, port, go)
    sink = [processes.mail()] if catches_mail else []
    for child in (processes.web(), processes.worker(), processes.beat(), *sink):
        supervisor.start(child)
    supervisor.wait_for(["web", "worker", "beat", *(child.name for child in sink)], ANSWER_S)
    _make_demo(supervisor, var, env)
    return values["REDIS_URL"]


def _make_demo(supervisor: Supervisor, var: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
    """Make the demo beside the rest, so that nobody waits for it, or go on with it; None when it was made before.

    What is left of it when we stop, the reaper ends.
    """
    made = var / "demo-made"
    if made.exists():
        return None
    command: list[str | Path] = ["/bin/sh", "-c", '"$0" manage.py demo && : >"$1"', PYTHON, made]
    return children.spawn(command, supervisor.fresh_log("demo"), env, ROOT)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LaunchError(
                f"Port {port} cannot be used ({error.strerror}): stop what uses it, or choose another one: "
                f"./run --port {redis_server.free_port()}"
            ) from error


def _banner(address: str, var: Path, redis_url: str, first: bool) -> str:
    return f"""
  tat runs at   {address}
  Log in as     admin, {_password(var / "admin-password", first)}
  Logs          {_short(var / "logs")}/ (web.log, worker.log, beat.log …)
  Redis         {redis_url}
  Stop it with  Ctrl-C
"""


def _password(kept: Path, first: bool) -> str:
    if not kept.exists():
        return "password as set by TAT_ADMIN_PASSWORD"
    return f"password {kept.read_text().strip()} (kept in {_short(kept)})" if first else f"password in {_short(kept)}"


def _short(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def _stop(supervisor: Supervisor) -> None:
    try:
        supervisor.stop()
    except Stopped:  # asked a second time: at once
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        supervisor.kill()


def _listen_to_signals() -> None:
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup ./run means it
            signal.signal(number, _on_signal)


def _on_signal(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(signal.Signals(number).name)


def _say(text: str, stream: object = None) -> None:
    """Print, also when the terminal is gone."""
    with contextlib.suppress(OSError):
        print(text, file=stream or sys.stdout, flush=True)  # type: ignore[arg-type]
