"""The one module that every Python can read: says in a sentence what an old or bare Python lacks."""

import os
import shutil
import sys

OLDEST = (3, 11)
HOW_TO_INSTALL = "Debian and Ubuntu: apt install python3 python3-venv; macOS: brew install python"


def require(script: str) -> None:
    """End with one sentence if this Python is too old, or cannot make the venv that is still missing."""
    if sys.version_info < OLDEST:
        sys.exit(
            "tat needs Python %d.%d or newer, and this is Python %d.%d. " % (OLDEST + tuple(sys.version_info[:2]))
            + _advice(script)
        )
    made = os.path.exists(os.path.join(os.path.dirname(os.path.abspath(script)), ".venv", "bin", "python"))
    if not made and not shutil.which("uv"):
        try:
            import ensurepip  # noqa: F401  Debian ships venv without it
            import venv  # noqa: F401
        except ImportError:
            sys.exit(
                "This Python (%s) has no venv module. Install it (Debian and Ubuntu: apt install python3-venv),"
                " or install uv; then start this again." % sys.executable
            )


def _advice(script: str) -> str:
    for minor in range(19, OLDEST[1] - 1, -1):
        newer = shutil.which("python3.%d" % minor)
        if newer:
            return "Start it with the newer one that is here: %s %s" % (newer, script)
    return "Install a newer one (%s), then start this again." % HOW_TO_INSTALL
