"""What a test needs from the machine: there, or said loudly."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TypeVar

import pytest

from scripts import postgres_server
from scripts.exceptions import PostgresServerError

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
CDNOW = ROOT.parent / "shared" / "data" / "cdnow" / "CDNOW_master.txt"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def require(found: T | None, reason: str) -> T:
    """Return what was found; without it skip, or fail where everything is required (`TAT_REQUIRE_ALL=1`, as in CI)."""
    if found:
        return found
    if os.environ.get("TAT_REQUIRE_ALL") == "1":
        pytest.fail(f"Required (TAT_REQUIRE_ALL=1), and missing: {reason}", pytrace=False)
    pytest.skip(reason)


def chromium() -> str:
    """Return the path of a Chromium or Chrome."""
    found = os.environ.get("TAT_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    return require(found, "No browser: install chromium (Debian: apt install chromium), or set TAT_CHROMIUM.")


def node() -> str:
    """Return the path of Node.js."""
    return require(shutil.which("node"), "No Node.js: install node 18 or newer to run the tests in JavaScript.")


def own_postgres() -> postgres_server.RunningPostgres:
    """Return a PostgreSQL that was started for the caller, who may restart it and has to stop it."""
    try:
        postgres_server.find_programs()
    except PostgresServerError as error:
        require(None, str(error))
    return postgres_server.start()


def postgres_url() -> str:
    """Return the address of the PostgreSQL that the tests may make databases in."""
    url = os.environ.get("DATABASE_URL", "")
    found = url if url.startswith(("postgres", "psql")) else None
    return require(found, "No PostgreSQL: set DATABASE_URL=postgres://user:password@host/database.")
