"""Many light WebSocket clients in one process, so that the server is what is measured and not its clients."""

from __future__ import annotations

import asyncio
import os
import struct
from base64 import b64encode
from collections.abc import Callable

CONNECT_S = 60.0
AT_ONCE = 50  # handshakes
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class Socket(asyncio.Protocol):
    """One client: does the handshake, hands text frames over as bytes, answers pings. No compression, no fragments."""

    def __init__(self, port: int, cookie: str, on_text: Callable[[bytes], None]) -> None:
        self.port = port
        self.cookie = cookie
        self.on_text = on_text
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: The code of the server's Close frame, 1006 when there was none; None while open.
        self.closed: int | None = None
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade, as a browser does."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        lines = [
            "GET /ws/live/ HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            f"Origin: http://127.0.0.1:{self.port}",
            f"Cookie: {self.cookie}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}",
        ]
        transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def data_received(self, data: bytes) -> None:
        """Take what came apart into frames."""
        data = self.rest + data
        if not self.open.done():
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self.rest = head
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self.open.set_exception(ConnectionError(head[:200].decode(errors="replace")))
                self.transport.abort()
                return
            self.open.set_result(None)
        at = 0
        while (frame := read_frame(data, at)) is not None:
            opcode, start, at = frame
            self._take(opcode, data[start:at])
        self.rest = data[at:]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == _TEXT:
            self.on_text(payload)
        elif opcode == _PING:
            self._write(_PONG, payload)
        elif opcode == _CLOSE:
            self.closed = struct.unpack("!H", payload[:2])[0] if payload else 1005
            self.transport.close()

    def send(self, text: bytes) -> None:
        """Send one text frame."""
        self._write(_TEXT, text)

    def _write(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
        # A mask of zeros is a mask, and leaves the payload as it is.
        self.transport.write(bytes([0x80 | opcode]) + length + bytes(4) + payload)

    def connection_lost(self, error: Exception | None) -> None:
        """Note an end without a Close frame."""
        self.closed = self.closed or 1006
        if not self.open.done():
            self.open.set_exception(ConnectionError("The server closed during the handshake."))


def read_frame(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Return opcode, start and end of the payload of the frame at a place; None when it is not whole."""
    if len(data) < at + 2:
        return None
    size, start = data[at + 1], at + 2
    if size == 126:
        start += 2
        size = int.from_bytes(data[at + 2 : start], "big") if len(data) >= start else 1 << 62
    elif size == 127:
        start += 8
        size = int.from_bytes(data[at + 2 : start], "big") if len(data) >= start else 1 << 62
    return None if len(data) < start + size else (data[at] & 0x0F, start, start + size)


async def connect(port: int, cookie: str, on_text: Callable[[bytes], None]) -> Socket:
    """Open one socket."""
    loop = asyncio.get_running_loop()
    _, socket = await loop.create_connection(lambda: Socket(port, cookie, on_text), "127.0.0.1", port)
    await asyncio.wait_for(socket.open, CONNECT_S)
    return socket


async def connect_many(port: int, cookie: str, receivers: list[Callable[[bytes], None]]) -> list[Socket]:
    """Open one socket for each receiver, some at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(on_text: Callable[[bytes], None]) -> Socket:
        async with gate:
            return await connect(port, cookie, on_text)

    return list(await asyncio.gather(*map(one, receivers)))
