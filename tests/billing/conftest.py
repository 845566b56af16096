"""What the tests of billing stand on: imports of given bytes, and processes that run one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.billing import files
from tests.harness.need import ROOT


@pytest.fixture
def make_import(clerk: Any) -> Callable[..., Any]:
    """Receive a file of these bytes as the clerk's upload: `make_import(b"…")`."""
    from billing import uploads

    def make(content: bytes, name: str = "march.csv", user: Any = clerk) -> Any:
        return uploads.receive(uploads.inspect(SimpleUploadedFile(name, content)), user)[0]

    return make


@pytest.fixture(scope="session")
def cdnow() -> files.Facts:
    """The CDNOW file, or one of its shape."""
    return files.cdnow()


@pytest.fixture
def start_process() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start Python statements in a process of their own on this test's database; what is left of it is killed."""
    from django.db import connection

    given = connection.settings_dict
    address = f"sqlite:///{given['NAME']}"
    if connection.vendor == "postgresql":
        user, host = f"{given['USER']}:{given['PASSWORD']}", f"{given['HOST']}:{given['PORT'] or 5432}"
        address = f"postgres://{user}@{host}/{given['NAME']}"
    started: list[subprocess.Popen[str]] = []

    def start(statements: str) -> subprocess.Popen[str]:
        code = f"import django; django.setup()\nfrom billing import importing\n{statements}"
        environment = {**os.environ, "DATABASE_URL": address}
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=20)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say so when the real file was not there."""
    if not files.CDNOW.exists():
        terminalreporter.write_line(f"billing: {files.CDNOW} is not there; a made file of the same shape was imported.")
