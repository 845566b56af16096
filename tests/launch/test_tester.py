"""./test: what it hands to pytest, and its exit code."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scripts import postgres_server
from scripts.exceptions import PostgresServerError
from tests.harness.need import require
from tests.launch.starts import clean_env

#: Without workers of pytest's it is over three times as soon.
ALONE = ("-n", "0")

PROBE = """
import os
import sys

def test_the_environment():
    assert os.environ["TAT_REQUIRE_ALL"] == "REQUIRE"
    assert os.environ.get("REDIS_URL") is None
    assert os.environ["TAT_VAR_DIR"] != "/of/a/running/tat"
    assert os.environ.get("DATABASE_URL", "").startswith("DATABASE")
    assert not sys.dont_write_bytecode
    assert sys.pycache_prefix.startswith(os.environ["TAT_VAR_DIR"])
"""


def run_test(
    project: Path, *arguments: str, require_all: str = "0", database: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run ./test on one test in a copy of the project, beside variables that must not lead it astray."""
    tests = project / "tests"
    tests.mkdir(exist_ok=True)
    (tests / "test_probe.py").write_text(
        PROBE.replace('REQUIRE"', f'{require_all}"').replace('DATABASE"', f'{database}"')
    )
    astray = {"REDIS_URL": "redis://127.0.0.1:1/0", "TAT_VAR_DIR": "/of/a/running/tat", "DATABASE_URL": "sqlite:////of"}
    return subprocess.run(
        [project / "test", *arguments, "tests/test_probe.py"],
        env=clean_env(PYTHONDONTWRITEBYTECODE="1", **astray),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_it_keeps_away_from_what_a_running_tat_uses(project: Path) -> None:
    done = run_test(project)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("All tests passed.\n")


def test_a_failure_is_its_exit_code(project: Path) -> None:
    done = run_test(project, *ALONE, require_all="not what comes")

    assert done.returncode == 1
    assert done.stdout.endswith("Something failed.\n")


def test_require_all_reaches_the_tests(project: Path) -> None:
    assert run_test(project, *ALONE, "--require-all", require_all="1").returncode == 0


def test_on_postgres_it_starts_one_of_its_own(project: Path) -> None:
    try:
        found = str(postgres_server.find_programs())
    except PostgresServerError as error:
        found = require(None, str(error))

    done = run_test(project, *ALONE, "--database", "postgres", database="postgres://tat@127.0.0.1:")

    assert done.returncode == 0, f"{found}\n{done.stdout}{done.stderr}"
