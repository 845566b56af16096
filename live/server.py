"""daphne, made safe for sockets that stay open: bounded towards slow readers, and polite when it stops.

The stock server buffers without bound for a client that does not read (250 MB seen), and stops without a word.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from daphne.server import Server
from twisted.internet import defer

from live import conf, recorder, sessions
from live.frames import CloseCode

logger = logging.getLogger(__name__)

#: Bytes that may wait in the process for one socket to read; the kernel holds more.
_MAX_WAITING_BYTES = 256 * 1024
#: Seconds between two looks at a socket that does not read.
_LOOK_S = 0.05
#: Seconds that open sockets have to take their last frames when the server stops.
_FAREWELL_S = 2.0


class BoundedServer(Server):
    """Sends no faster than the client reads, and closes every socket with 4000 before it stops."""

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Called with each message of an application; returns when the socket has room for the next."""
        await super().handle_reply(protocol, message)
        if message["type"] != "websocket.send":
            return
        deadline = time.monotonic() + conf.live.SEND_TIMEOUT_S
        while _waiting_bytes(protocol) > _MAX_WAITING_BYTES and "disconnected" not in self.connections.get(
            protocol, {}
        ):
            if time.monotonic() > deadline:
                logger.warning("A socket does not read and is cut.", extra={"action": "socket_too_slow"})
                protocol.transport.abortConnection()
                return
            await asyncio.sleep(_LOOK_S)

    def _is_open(self, protocol: Any) -> bool:
        return "disconnected" not in self.connections.get(protocol, {})

    def kill_all_applications(self) -> defer.Deferred[Any]:
        """Called before the reactor stops."""
        return defer.Deferred.fromFuture(asyncio.ensure_future(self._say_farewell()))

    async def _say_farewell(self) -> None:
        deadline = time.monotonic() + _FAREWELL_S
        while sessions.close_all(CloseCode.RESTARTING) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        running = [details.get("application_instance") for details in self.connections.values()]
        left = [application for application in running if application is not None and not application.done()]
        for application in left:
            application.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _waiting_bytes(protocol: Any) -> int:
    transport = protocol.transport
    if transport is None or not getattr(transport, "connected", False):
        return 0
    return len(getattr(transport, "dataBuffer", b"")) + int(getattr(transport, "_tempDataLen", 0))


def serve(application: Any, host: str, port: int) -> None:
    """Serve until a signal comes; called by `manage.py live_server`."""
    recorder.start_thread()
    endpoint = f"tcp:port={port}:interface={host.replace(':', chr(92) + ':')}"
    BoundedServer(
        application=application,
        endpoints=[endpoint],
        websocket_max_message_size=conf.live.MAX_FRAME_BYTES,
        websocket_max_frame_size=conf.live.MAX_FRAME_BYTES,
        websocket_timeout=-1,
        server_name="tat",
    ).run()
