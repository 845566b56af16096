"""daphne, made safe for sockets that stay open: bounded towards slow readers, and polite when it stops.

The stock server buffers without bound for a client that does not read (250 MB seen), and stops without a word.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from typing import Any

import daphne.server
from daphne.server import Server
from twisted.internet import defer

from live import conf, direct, recorder, sessions
from live.bodies import BoundedFactory
from live.frames import CloseCode

logger = logging.getLogger(__name__)

#: Bytes that may wait in the process for one socket to read; the kernel holds more.
_MAX_WAITING_BYTES = 256 * 1024
#: Seconds between two looks at a socket that does not read.
_LOOK_S = 0.05
#: Seconds until a socket is open; after a restart hundreds of pages come back at once, and daphne's 5 are too few then.
_HANDSHAKE_S = 30
#: Connections that wait to be taken; Twisted's 50 are few for the same reason.
_BACKLOG = 1_024
#: Seconds that sockets have to take their last frames, and requests their answer, when the server stops.
_FAREWELL_S = 2.0


class BoundedServer(Server):
    """Sends no faster than the client reads, and closes every socket with 4000 before it stops."""

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Called with each request; for a socket, bound what the application has not taken yet."""
        queue = super().create_application(protocol, scope)
        if queue is None or scope["type"] != "websocket":
            return queue
        # Say why (1007, 1009) instead of dropping the connection without a word.
        protocol.failByDrop = False
        return _Inbox(protocol, queue)

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Called with each message of an application; returns when the socket has room for the next."""
        if message["type"] != "websocket.send":
            await super().handle_reply(protocol, message)
            return
        if protocol.state != protocol.STATE_OPEN:
            # It is being closed, by either end, and autobahn would raise.
            return
        if message.get("text") is not None and direct.write(protocol, message["text"]):
            await self._wait_for_room(protocol)
            return
        # autobahn would hold what is sent to the limit of what may be received.
        limit, protocol.maxMessagePayloadSize = protocol.maxMessagePayloadSize, 0
        try:
            await super().handle_reply(protocol, message)
        finally:
            protocol.maxMessagePayloadSize = limit
        await self._wait_for_room(protocol)

    async def _wait_for_room(self, protocol: Any) -> None:
        """Return when the client has read enough; it is slow only if it reads nothing for LIVE_SEND_TIMEOUT_S."""
        least, deadline = _waiting_bytes(protocol), time.monotonic() + conf.live.SEND_TIMEOUT_S
        while (waiting := _waiting_bytes(protocol)) > _MAX_WAITING_BYTES:
            if waiting < least:
                least, deadline = waiting, time.monotonic() + conf.live.SEND_TIMEOUT_S
            elif time.monotonic() > deadline:
                logger.warning("A socket does not read and is cut.", extra={"action": "socket_too_slow"})
                protocol.serverClose(code=CloseCode.TOO_SLOW)
                return
            await asyncio.sleep(_LOOK_S)

    def kill_all_applications(self) -> defer.Deferred[Any]:
        """Called before the reactor stops."""
        return defer.Deferred.fromFuture(asyncio.ensure_future(self._say_farewell()))

    async def _say_farewell(self) -> None:
        deadline = time.monotonic() + _FAREWELL_S
        while self._running() and time.monotonic() < deadline:
            sessions.close_all(CloseCode.RESTARTING)
            await asyncio.sleep(_LOOK_S)
        left = self._running()
        for application in left:
            application.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _running(self) -> list[Any]:
        found = [details.get("application_instance") for details in self.connections.values()]
        return [application for application in found if application is not None and not application.done()]


class _Inbox:
    """What a socket has sent and its application has not taken: bounded, as a client may send faster."""

    def __init__(self, protocol: Any, queue: asyncio.Queue[dict[str, Any]]) -> None:
        self._protocol = protocol
        self._queue = queue

    def put_nowait(self, message: dict[str, Any]) -> None:
        """Called by daphne with each frame, and when the socket is gone."""
        if message["type"] != "websocket.receive" or self._queue.qsize() <= conf.live.MAX_FRAMES_PER_10_S:
            self._queue.put_nowait(message)
        else:
            self._protocol.serverClose(code=CloseCode.TOO_MANY)


def _waiting_bytes(protocol: Any) -> int:
    """Count what Twisted's TCP transport holds for a socket and the kernel has not taken."""
    transport = protocol.transport
    if transport is None or not transport.connected:
        return 0
    return len(transport.dataBuffer) - transport.offset + transport._tempDataLen


def serve(application: Any, host: str, port: int) -> None:
    """Serve until a signal comes; called by `manage.py live_server`."""
    recorder.start_thread()
    # All that is loaded by now stays: a collection that goes through it stops 500 sockets for a quarter of a second.
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 100)
    # `Server.run` makes its factory from this name, and has no other place for one.
    daphne.server.HTTPFactory = BoundedFactory
    endpoint = f"tcp:port={port}:backlog={_BACKLOG}:interface={host.replace(':', chr(92) + ':')}"
    BoundedServer(
        application=application,
        endpoints=[endpoint],
        websocket_max_message_size=conf.live.MAX_FRAME_BYTES,
        websocket_max_frame_size=conf.live.MAX_FRAME_BYTES,
        websocket_timeout=-1,
        websocket_handshake_timeout=_HANDSHAKE_S,
        request_buffer_size=65_536,
        server_name="tat",
    ).run()
