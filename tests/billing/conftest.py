"""What the tests of billing stand on: imports of given bytes, and processes that run one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.billing import files
from tests.billing.mail_server import MailServer
from tests.harness.need import ROOT


def _with_role(user: Any, name: str) -> Any:
    from django.contrib.auth.models import Group

    user.groups.add(Group.objects.get(name=name))
    return user


@pytest.fixture
def clerk(clerk: Any) -> Any:
    """A user in the group of clerks."""
    return _with_role(clerk, "clerk")


@pytest.fixture
def other_clerk(other_clerk: Any) -> Any:
    """Another user in the group of clerks."""
    return _with_role(other_clerk, "clerk")


@pytest.fixture
def manager(django_user_model: Any, db: None) -> Any:
    """A user in the group of managers."""
    return _with_role(django_user_model.objects.create_user("manager", password="manager"), "manager")


@pytest.fixture
def auditor(django_user_model: Any, db: None) -> Any:
    """A user in the group of auditors."""
    return _with_role(django_user_model.objects.create_user("auditor", password="auditor"), "auditor")


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


def address_of_database() -> str:
    """Return what DATABASE_URL is in a process on this test's database."""
    from django.db import connection

    given = connection.settings_dict
    if connection.vendor != "postgresql":
        return f"sqlite:///{given['NAME']}"
    user, host = f"{given['USER']}:{given['PASSWORD']}", f"{given['HOST']}:{given['PORT'] or 5432}"
    return f"postgres://{user}@{host}/{given['NAME']}"


@pytest.fixture
def start_process() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start Python statements in a process of their own on this test's database; what is left of it is killed."""
    address = address_of_database()
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


@pytest.fixture
def tax_rates(db: None) -> None:
    """The rates that the migration enters: a test with transactions of its own leaves no row behind."""
    from django.apps import apps

    import_module("billing.migrations.0003_tax_rates").enter(apps, None)


@pytest.fixture
def mail_server(settings: Any) -> Iterator[MailServer]:
    """A real mail server, which the settings name."""
    server = MailServer().start()
    settings.EMAIL_BACKEND = "billing.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
    yield server
    server.stop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say so when the real file was not there."""
    if not files.CDNOW.exists():
        terminalreporter.write_line(f"billing: {files.CDNOW} is not there; a made file of the same shape was imported.")
