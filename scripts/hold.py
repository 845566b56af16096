"""Loads Django, waits until the database is prepared, and then runs a program in the same process.

A start is mostly imports: 2 s for each process here. So worker and web import while the database is being prepared,
and beat, whose process has Django loaded anyway, prepares it.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from pathlib import Path

STEP_S = 0.02
LIMIT_S = 120.0


def main() -> None:
    """`python -m scripts.hold wait-for|make FILE PROGRAM ARGS…`; the program is a module's name, or ends in .py.

    `make` prepares the database and makes the file, `wait-for` waits for it.
    """
    what, file, program, *arguments = sys.argv[1:]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tat.settings")
    import django  # not before the settings' name is set

    django.setup()
    if what == "make":
        prepare()
        Path(file).touch()
    else:
        wait_for(Path(file))
    sys.argv = [program, *arguments]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


def prepare() -> None:
    """Run `manage.py prepare` here, and leave no connection to the database behind."""
    from django.core.management import CommandError, call_command
    from django.db import connections

    try:
        call_command("prepare")
    except CommandError as error:
        sys.exit(f"CommandError: {error}")
    connections.close_all()


def wait_for(file: Path) -> None:
    """Return when the file is there; end with a sentence if it does not come."""
    deadline = time.monotonic() + LIMIT_S
    while not file.exists():
        if time.monotonic() > deadline:
            sys.exit(f"{file} was not there within {LIMIT_S:.0f} s.")
        time.sleep(STEP_S)


if __name__ == "__main__":
    main()
