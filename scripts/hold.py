"""Loads Django, waits until a file is there, and then runs a program in the same process.

A start is mostly imports. With this, worker, beat and web import while the database is still being prepared.
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
    """`python -m scripts.hold FILE PROGRAM ARGS…`: the program is a module's name, or a path that ends in .py."""
    file, program, *arguments = sys.argv[1:]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tat.settings")
    import django  # not before the settings' name is set

    django.setup()
    deadline = time.monotonic() + LIMIT_S
    while not Path(file).exists():
        if time.monotonic() > deadline:
            sys.exit(f"{file} was not there within {LIMIT_S:.0f} s.")
        time.sleep(STEP_S)
    sys.argv = [program, *arguments]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
