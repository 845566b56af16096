"""What ./test does: .venv with the development tools, then pytest and the tests in JavaScript, with what they need."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts import environment, postgres_server
from scripts.environment import PYTHON, ROOT
from scripts.exceptions import LaunchError

#: What a shell beside a running ./run may hold, and must not lead a test to its data.
OURS = (
    "ALLOWED_",
    "BEHIND_",
    "CELERY_",
    "CSRF_",
    "DATABASE_",
    "DEBUG",
    "DJANGO_",
    "LIVE_",
    "REDIS_",
    "SECRET_",
    "TAT_",
)
KEPT = ("TAT_CHROMIUM",)
#: Most tests wait for other processes, so four workers keep two cores busy. A file stays together, as it shares them,
#: and the order is that of tests/conftest.py.
PARALLEL = ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests; return 0 if all of them passed."""
    options, pytest_arguments = _parse(arguments)
    try:
        environment.ensure("requirements.txt", "requirements-dev.txt")
        return _run(options, pytest_arguments)
    except LaunchError as error:
        print(error)
        return 1
    except KeyboardInterrupt:
        return 130


def _parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="./test",
        description="Run all tests, with real services of their own on free ports. Other arguments go to pytest; with"
        " them only pytest runs: ./test tests/live -k resume, and with -n 0 in this process alone",
    )
    parser.add_argument("--require-all", action="store_true", help="a missing browser or service fails, as in CI")
    parser.add_argument(
        "--database", choices=("sqlite", "postgres"), default="sqlite", help="what to test on (default: sqlite)"
    )
    return parser.parse_known_args(arguments)


def _run(options: argparse.Namespace, pytest_arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="tat-test-", ignore_cleanup_errors=True) as directory:
        env = {name: value for name, value in os.environ.items() if name in KEPT or not name.startswith(OURS)}
        env |= environment.bytecode(Path(directory))
        env |= {"TAT_VAR_DIR": directory, "TAT_REQUIRE_ALL": "1" if options.require_all else "0"}
        with _database(options.database) as url:
            failed = _pytest(pytest_arguments, {**env, **url})
        if not pytest_arguments:
            failed |= _node(options.require_all)
    print("Something failed." if failed else "All tests passed.")
    return int(failed)


@contextmanager
def _database(kind: str) -> Iterator[dict[str, str]]:
    """Start what `--database` asks for, and give the variables that lead to it."""
    if kind == "sqlite":
        yield {}
        return
    postgres = postgres_server.start()
    try:
        yield {"DATABASE_URL": postgres.url}
    finally:
        postgres.stop()


def _pytest(arguments: list[str], env: dict[str, str]) -> bool:
    return (
        subprocess.run([PYTHON, "-m", "pytest", *PARALLEL, *arguments], cwd=ROOT, env=env, check=False).returncode != 0
    )


def _node(required: bool) -> bool:
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "js").glob("**/*.test.js"))
    if not shutil.which("node"):
        print("Skipped: tests/js: there is no Node.js (20.4 or newer).")
        return required
    print(f"\nnode --test tests/js/ ({len(files)} files)", flush=True)
    return not files or subprocess.run(["node", "--test", *files], cwd=ROOT, check=False).returncode != 0


if __name__ == "__main__":
    raise SystemExit(main())
