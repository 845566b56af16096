"""The project's .venv: made once, and filled with exactly what the lock files say whenever they change."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts import children
from scripts.exceptions import LaunchError
from scripts.python_version import OLDEST

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
FREE_MB = 64  # below it a disk counts as full


def ensure(*lock_files: str) -> Path:
    """Make .venv if it is missing, install the lock files that changed since the last time, and return its Python.

    Raises LaunchError when that fails.
    """
    VENV.mkdir(exist_ok=True)
    with _locked():
        changed = [name for name in lock_files if _stamp(name) != _installed_stamp(name)]
        if _usable() and not changed:
            return PYTHON
        require_free_disk(VENV)
        began = time.monotonic()
        print(f"Preparing .venv ({', '.join(changed or lock_files)}) …", flush=True)
        _install(changed or list(lock_files))
        print(f"Prepared .venv in {time.monotonic() - began:.0f} s.", flush=True)
    return PYTHON


def require_free_disk(directory: Path) -> None:
    """Raise LaunchError when next to nothing can be written there any more."""
    free_mb = shutil.disk_usage(directory).free // 1_000_000
    if free_mb < FREE_MB:
        raise LaunchError(f"The disk of {directory} is full: {free_mb} MB are free, and {FREE_MB} MB are needed.")


def bytecode(directory: Path) -> dict[str, str]:
    """Return the variables that let our processes keep their bytecode there if they may keep none beside the sources.

    With PYTHONDONTWRITEBYTECODE alone each would compile some 750 modules at its start: a second of the 1.7 it takes.
    """
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(directory / "bytecode")}


def _install(lock_files: list[str]) -> None:
    installers = [_install_with_pip]
    if shutil.which("uv"):
        installers.insert(0, _install_with_uv)  # uv may lack the index that pip is set up with: then pip tries
    for install in installers:
        if install(lock_files):
            for name in lock_files:
                _stamp_path(name).write_text(_stamp(name))
            return
    require_free_disk(VENV)
    raise LaunchError(
        f"The requirements could not be installed, for the reason above. Is the network there? "
        f"What was tried: {sys.executable}, {VENV}, {', '.join(lock_files)}."
    )


def _install_with_uv(lock_files: list[str]) -> bool:
    if not _usable() and not _succeeds("uv", "venv", "--quiet", "--clear", "--python", sys.executable, VENV):
        return False
    return _succeeds(
        *("uv", "pip", "install", "--quiet", "--python", PYTHON, "--require-hashes", "--no-deps"),
        *_arguments(lock_files),
    )


def _install_with_pip(lock_files: list[str]) -> bool:
    has_pip = _usable() and any(VENV.glob("lib/python3*/site-packages/pip"))
    if not has_pip and not _succeeds(sys.executable, "-m", "venv", "--clear", VENV):
        return False
    return _succeeds(
        *(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"),
        *("--require-hashes", "--no-deps", *_arguments(lock_files)),
    )


def _arguments(lock_files: list[str]) -> Iterator[str | Path]:
    for name in lock_files:
        yield from ("-r", ROOT / name)


def _succeeds(*command: str | Path) -> bool:
    """Run a command that ends with us, and show what it says only if it fails."""
    with tempfile.NamedTemporaryFile(prefix="tat-install-") as log:
        process = children.spawn(command, Path(log.name), cwd=ROOT)
        try:
            process.wait()
        finally:
            children.kill(process)
        if process.returncode:
            print(children.tail(Path(log.name)), flush=True)
        return process.returncode == 0


def _usable() -> bool:
    """Say whether .venv has a Python that exists still and is new enough."""
    try:
        version = re.search(r"^version\w* *= *(\d+)\.(\d+)", (VENV / "pyvenv.cfg").read_text(), re.MULTILINE)
    except FileNotFoundError:
        return False
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST and PYTHON.exists()


def _stamp(name: str) -> str:
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()


def _stamp_path(name: str) -> Path:
    return VENV / f".installed-{name}"


def _installed_stamp(name: str) -> str:
    try:
        return _stamp_path(name).read_text()
    except FileNotFoundError:
        return ""


@contextmanager
def _locked() -> Iterator[None]:
    """Let one ./run or ./test at a time fill .venv."""
    descriptor = os.open(ROOT, os.O_RDONLY)  # not a file inside: `--clear` would take it away
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
