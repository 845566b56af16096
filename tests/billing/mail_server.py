"""A real SMTP server in the test, which does as it is told: it takes, refuses, waits, or hangs up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

KEPT = "250 Kept"
#: Stands for an answer: break the connection without one.
HANG_UP = "hang up"


class MailServer:
    """Give it the answers to the next messages; without any it takes all."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.answers: list[str] = []
        self.recipient_answers: list[str] = []
        #: Held shut, no command to MAIL FROM is answered.
        self.is_awake = threading.Event()
        self.is_awake.set()
        #: Called with each message that was taken, before the answer goes out.
        self.on_taken: Callable[[], Any] = lambda: None
        #: Held shut, nobody is greeted.
        self.is_polite = threading.Event()
        self.is_polite.set()
        #: How many have connected.
        self.connected = 0
        #: Set once "250 Kept" is on its way.
        self.has_kept = threading.Event()
        self.transports: list[Any] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> MailServer:
        """Listen at a free port."""
        self._thread.start()
        assert self._ready.wait(10), "the mail server did not start within 10 s"
        return self

    def stop(self) -> None:
        """End it; waiting connections break."""
        self.is_awake.set()
        self.is_polite.set()
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    def messages(self) -> list[EmailMessage]:
        """Return what was taken, parsed."""
        parsed = [message_from_bytes(content, policy=policy.default) for content in self.taken]
        return [message for message in parsed if isinstance(message, EmailMessage)]

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer to the sender."""
        await asyncio.to_thread(self.is_awake.wait, 30)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Answer to the recipient."""
        if self.recipient_answers:
            return self.recipient_answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Answer to the message."""
        answer = self.answers.pop(0) if self.answers else KEPT
        if answer in (KEPT, HANG_UP):
            assert isinstance(envelope.content, bytes)
            self.taken.append(envelope.content)
            await asyncio.to_thread(self.on_taken)
        if answer == HANG_UP:
            server.transport.abort()
        return answer

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._loop.close()

    async def _listen(self) -> None:
        self._stopped = asyncio.Event()
        server = await self._loop.create_server(
            lambda: _Telling(self, loop=self._loop, enable_SMTPUTF8=True), "127.0.0.1", 0
        )
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stopped.wait()
        for transport in self.transports:
            transport.abort()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


class _Telling(SMTP):
    """Greets when it may, and tells when the client can read that its message was kept."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.event_handler.transports.append(transport)

    async def _handle_client(self) -> None:
        self.event_handler.connected += 1
        await asyncio.to_thread(self.event_handler.is_polite.wait, 30)
        await super()._handle_client()

    async def push(self, status: str | bytes) -> None:
        await super().push(status)
        if status == KEPT:
            self.event_handler.has_kept.set()
