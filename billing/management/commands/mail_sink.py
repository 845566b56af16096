"""`manage.py mail_sink`: a mail server that sends nothing on; each message becomes a file for the page Inbox."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from billing import inbox

HOST = "127.0.0.1"


class Sink:
    """What aiosmtpd asks about each message."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        """Say 250 once the message is a file."""
        content = envelope.content
        assert isinstance(content, bytes)
        try:
            await asyncio.to_thread(inbox.keep, self.directory, content)
        except OSError as error:
            return f"452 The message could not be written: {error.strerror}"
        return "250 Kept"


class Command(BaseCommand):
    """A mail server for one's own machine."""

    help = "Take every e-mail that is sent to 127.0.0.1 and keep it for the page Inbox; nothing is sent on."
    requires_system_checks: list[str] = []  # it needs neither database nor Redis

    def add_arguments(self, parser: CommandParser) -> None:
        """One optional port."""
        parser.add_argument("--port", type=int, default=0, help="where to listen; 0 (default): any free port")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._serve(options["port"]))

    async def _serve(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        sink = Sink(settings.BILLING_INBOX_DIR)
        server = await loop.create_server(
            lambda: SMTP(sink, loop=loop, data_size_limit=inbox.MAX_MESSAGE_BYTES, enable_SMTPUTF8=True), HOST, port
        )
        async with server:
            self.stdout.write(f"The mail sink listens at {HOST}:{server.sockets[0].getsockname()[1]}.")
            self.stdout.flush()
            await stopped.wait()
