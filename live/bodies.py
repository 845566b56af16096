"""Request bodies under daphne: parsed by Django alone, and bounded.

Twisted parses a form's body in memory before Django sees it, and daphne queues the whole of it: an upload of 1 GiB took
9,360 MiB and a minute, in which no socket was served.
"""

from __future__ import annotations

from typing import Any

from daphne.http_protocol import HTTPFactory, WebRequest

from live import conf


class _Nothing:
    """Takes a body that is too large, and keeps none of it; a client listens only when it has sent all."""

    closed = False

    def write(self, data: bytes) -> None:
        """Forget it."""

    def seek(self, *where: int) -> int:
        """Be at the beginning, as ever."""
        return 0

    tell = seek

    def read(self, *size: int) -> bytes:
        """Return nothing."""
        return b""

    def close(self) -> None:
        """Called at the end of the request."""
        self.closed = True


class BoundedRequest(WebRequest):
    """Answers 413 for a body above LIVE_MAX_BODY_BYTES, without keeping it."""

    content: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options, parsePOSTFormSubmission=False)
        self._received_bytes = 0

    def gotLength(self, length: int | None) -> None:  # noqa: N802  Twisted's name
        """Called with the Content-Length, None for a chunked body."""
        super().gotLength(length)
        self._hold_to_limit(length or 0)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802  Twisted's name
        """Called with each part of the body."""
        self._received_bytes += len(data)
        self._hold_to_limit(self._received_bytes)
        super().handleContentChunk(data)

    def _hold_to_limit(self, size: int) -> None:
        if size > conf.live.MAX_BODY_BYTES and not isinstance(self.content, _Nothing):
            self.content.close()
            self.content = _Nothing()

    def process(self) -> Any:
        """Called when the request is complete."""
        if isinstance(self.content, _Nothing):
            most = conf.live.MAX_BODY_BYTES // 2**20
            return self.basic_error(413, b"Content Too Large", f"At most {most} MiB are taken at once.")
        return super().process()


class BoundedFactory(HTTPFactory):
    """Makes the requests of every connection bounded ones."""

    def buildProtocol(self, address: Any) -> Any:  # noqa: N802  Twisted's name
        """Called with each connection."""
        protocol = super().buildProtocol(address)
        protocol.requestFactory = BoundedRequest
        return protocol
