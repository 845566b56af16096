"""Copies of the project, and starts of ./run that end with their test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.launch.starts import Start, copy_project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, as a fresh clone with its .venv made."""
    return copy_project(tmp_path_factory.mktemp("clone") / "tat")


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A var directory of a file's tests, where the next start finds the database of the last one."""
    return tmp_path_factory.mktemp("var")


@pytest.fixture
def start(project: Path, var: Path) -> Iterator[Callable[..., Start]]:
    """Start ./run: `start(REDIS_URL=…)`. All end with the test."""
    made: list[Start] = []

    def begin(**env: str) -> Start:
        made.append(Start(project, None, **{"TAT_VAR_DIR": str(var), **env}))
        return made[-1]

    yield begin
    for one in made:
        one.end()


@pytest.fixture(scope="module")
def running(project: Path) -> Iterator[Start]:
    """A tat that runs with nothing set, as on a first day, or on the PostgreSQL that is tested on."""
    one = Start(project, None, **{name: os.environ[name] for name in ("DATABASE_URL",) if name in os.environ})
    try:
        yield one.wait_for("Stop it with")
    finally:
        one.end()
