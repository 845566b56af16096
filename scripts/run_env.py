"""What ./run leaves in its var directory, so that any second terminal finds the same Redis, database and key."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from pathlib import Path

from scripts import reaper
from scripts.environment import ROOT
from scripts.exceptions import LaunchError

#: What tat/settings.py reads; set for ./run, it also holds for a second terminal.
PASSED_ON = (
    "ALLOWED_HOSTS",
    "BEHIND_TLS_PROXY",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_URL",
    "DEBUG",
    "EMAIL_BACKEND",
    "EMAIL_HOST",
    "EMAIL_HOST_PASSWORD",
    "EMAIL_HOST_USER",
    "EMAIL_PORT",
    "EMAIL_TIMEOUT",
    "EMAIL_USE_SSL",
    "EMAIL_USE_TLS",
    "LIVE_ALLOWED_ORIGINS",
    "LIVE_EMBED_RECORDER",
    "LOG_LEVEL",
    "REDIS_URL",
    "SECRET_KEY",
    "SECURE_HSTS_SECONDS",
    "SECURE_SSL_REDIRECT",
)
LAST_ONE_STOPS_S = 12.0


def var_dir() -> Path:
    """Return the directory for all that a running tat writes."""
    return Path(os.environ.get("TAT_VAR_DIR") or ROOT / "var").absolute()


def compose(var: Path, port: int) -> dict[str, str]:
    """Return the settings of this start: the environment's, else the ones good for one's own machine.

    The key is made once, and found again in the file. REDIS_URL is missing if the environment has none.
    """
    origins = f"http://127.0.0.1:{port},http://localhost:{port}"
    values = {"DEBUG": "1", "LIVE_ALLOWED_ORIGINS": origins}
    values |= {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    values.setdefault("SECRET_KEY", _kept_key(var) or secrets.token_urlsafe(50))
    return values


def write(var: Path, values: dict[str, str]) -> None:
    """Write the file whole, readable by its owner only."""
    part = var / "run.env.part"
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("# Written by ./run at each start; read by tat/settings.py.\n")
        file.writelines(f"{name}='{value}'\n" for name, value in sorted(values.items()) if "\n" not in value)
    part.replace(var / "run.env")


def lock(var: Path, address: str) -> int:
    """Make sure that one ./run works in a var directory, and return the lock's descriptor.

    What is left of one that was killed is given time to stop. Raises LaunchError with where the other one is.
    """
    descriptor = os.open(var / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LAST_ONE_STOPS_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            pid, _, place = os.pread(descriptor, 200, 0).decode().strip().partition(" ")
            if (pid and not reaper.gone(int(pid))) or time.monotonic() > deadline:
                os.close(descriptor)
                raise LaunchError(
                    f"tat already runs here, at {place} (process {pid}): stop it with Ctrl-C, or with kill {pid}."
                ) from None
            time.sleep(0.1)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} {address}\n".encode(), 0)
    return descriptor


def _kept_key(var: Path) -> str:
    try:
        found = re.search(r"^SECRET_KEY='(.+)'$", (var / "run.env").read_text(), re.MULTILINE)
    except FileNotFoundError:
        return ""
    return found[1] if found else ""
