"""A real worker, killed between the server's "250" and the commit: the mail is out once, and a person is asked."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connection, transaction

from billing.models import Mail
from billing.services import mails
from tests.billing.conftest import address_of_database
from tests.billing.invoices import make_invoice
from tests.billing.mail_server import MailServer
from tests.harness.stack import Stack
from tests.harness.wait import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

#: What a killed worker had taken comes back after so many seconds.
VISIBILITY_S = 2


@pytest.fixture
def stack(mail_server: MailServer, settings: Any, tmp_path: Path) -> Iterator[Stack]:
    """A worker on this test's database and this test's mail server."""
    settings.MEDIA_ROOT = tmp_path / "media"
    made = Stack(
        tmp_path,
        address_of_database(),
        visibility_s=VISIBILITY_S,
        EMAIL_BACKEND="billing.smtp.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=mail_server.port,
    )
    yield made.start("worker")
    made.close()


@pytest.fixture
def mail() -> Mail:
    """An invoice's mail that waits."""
    invoice = make_invoice()
    return mails.ask("invoice", f"invoice:{invoice.pk}", invoice.customer, "a@example.com", invoice)[0]


def _state(mail: Mail) -> str:
    return Mail.objects.get(pk=mail.pk).state


def _kill_worker(stack: Stack, run_process: int) -> None:
    stack.kill("worker")


def _kill_process_of_the_run(stack: Stack, run_process: int) -> None:
    os.kill(run_process, signal.SIGKILL)


def _process_on(port: int) -> int:
    """Return the process that talks to the mail server."""
    return next(
        found.pid or 0
        for found in psutil.net_connections("tcp")
        if found.raddr and found.raddr.port == port and found.status == psutil.CONN_ESTABLISHED and found.pid
    )


def _cut_connections() -> None:
    """Take back what a killed process had asked for: PostgreSQL would still do it, and commit, when the row is free."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )


@pytest.mark.parametrize("kill", [_kill_worker, _kill_process_of_the_run])
def test_killed_after_the_servers_yes_it_is_out_once_and_unclear(
    mail_server: MailServer, stack: Stack, mail: Mail, kill: Any
) -> None:
    has_arrived, may_answer = threading.Event(), threading.Event()

    def wait() -> None:
        has_arrived.set()
        may_answer.wait(30)

    mail_server.on_taken = wait
    stack.send("billing.email_invoice", mail.pk)
    assert has_arrived.wait(30), stack.tails()
    assert _state(mail) == "sending"
    process = _process_on(mail_server.port)
    with transaction.atomic():
        Mail.objects.select_for_update().get(pk=mail.pk)  # so the worker reads "250" and cannot commit
        may_answer.set()
        assert mail_server.has_kept.wait(10)
        kill(stack, process)
        _cut_connections()
    if kill is _kill_worker:
        stack.start("worker")

    until(lambda: _state(mail) == "unclear", "the mail to be unclear", 60, stack.tails)

    assert len(mail_server.taken) == 1
    connection.close()


def test_killed_before_the_server_knows_of_it_it_is_sent_by_the_next_worker(
    mail_server: MailServer, stack: Stack, mail: Mail
) -> None:
    mail_server.is_polite.clear()
    stack.send("billing.email_invoice", mail.pk)
    until(lambda: mail_server.connected, "the worker to connect", 30, stack.tails)
    stack.kill("worker")
    assert _state(mail) == "waiting"
    mail_server.is_polite.set()
    stack.start("worker")

    until(lambda: _state(mail) == "sent", "the mail to be sent", 60, stack.tails)

    assert len(mail_server.taken) == 1
    connection.close()
