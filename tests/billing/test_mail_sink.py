"""`manage.py mail_sink` as a process: what is sent to it becomes a file, and it ends when it is told to."""

from __future__ import annotations

import re
import signal
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from billing import inbox
from tests.harness.need import ROOT
from tests.harness.stack import environment

Sink = tuple["subprocess.Popen[str]", int, Path]


@pytest.fixture
def start_sink(tmp_path: Path) -> Iterator[Callable[[], Sink]]:
    """Start a sink at a free port, and wait until it listens."""
    started: list[subprocess.Popen[str]] = []

    def start() -> Sink:
        environ = environment(TAT_VAR_DIR=str(tmp_path), DJANGO_SETTINGS_MODULE="tat.settings")
        command = [sys.executable, "manage.py", "mail_sink"]
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found
        return process, int(found[1]), tmp_path / "inbox"

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=20)


def test_what_is_sent_is_kept_whole_and_it_ends_on_sigterm(start_sink: Callable[[], Sink]) -> None:
    process, port, directory = start_sink()
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Grüße 中文", "a@example.com", "b@example.com"
    message.set_content("Hello\n.\nworld")

    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.send_message(message)
        client.send_message(message)

    names = inbox.names(directory)
    assert len(names) == len(list(directory.iterdir())) == 2
    kept = inbox.read(directory, names[0])
    assert kept["Subject"] == "Grüße 中文"
    assert inbox.body(kept, "plain").splitlines() == ["Hello", ".", "world"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0


def test_too_large_a_message_is_refused_and_none_is_kept(start_sink: Callable[[], Sink]) -> None:
    _process, port, directory = start_sink()

    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client, pytest.raises(smtplib.SMTPResponseException) as error:
        client.sendmail("a@example.com", ["b@example.com"], b"x" * (inbox.MAX_MESSAGE_BYTES + 1))

    assert error.value.smtp_code == 552
    assert inbox.names(directory) == []


def test_a_disk_that_takes_nothing_is_told_as_a_passing_trouble(start_sink: Callable[[], Sink]) -> None:
    _process, port, directory = start_sink()
    directory.write_text("no directory")

    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client, pytest.raises(smtplib.SMTPDataError) as error:
        client.sendmail("a@example.com", ["b@example.com"], b"Subject: x\r\n\r\nx")

    assert error.value.smtp_code == 452
