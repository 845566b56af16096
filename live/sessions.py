"""The open sockets of this process, and whether their logins still hold."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from functools import partial
from typing import Any, Protocol
from weakref import WeakSet

from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from live import access, conf, queries
from live.frames import CloseCode
from live.hub import FAILURES, Hub
from live.outbox import Outbox

logger = logging.getLogger(__name__)


class Socket(Protocol):
    """What is asked of a consumer here."""

    session_key: str
    viewer: queries.Viewer
    outbox: Outbox | None
    hub: Hub


open_sockets: set[Socket] = set()
_watched: WeakSet[Hub] = WeakSet()


def join(socket: Socket) -> None:
    """Note a socket that was opened; the first of a hub starts the watch."""
    open_sockets.add(socket)
    if socket.hub not in _watched:
        _watched.add(socket.hub)
        socket.hub.spawn(socket.hub.keep_on(partial(watch, socket.hub)))


def leave(socket: Socket) -> None:
    """Note that a socket is gone."""
    open_sockets.discard(socket)


@receiver(user_logged_out, dispatch_uid="live.close_sockets_of")
def close_sockets_of(request: HttpRequest, **_: Any) -> None:
    """Close this process's sockets of a session at once when it logs out; the watch finds those of other processes."""
    key = getattr(getattr(request, "session", None), "session_key", None)
    for socket in list(open_sockets):
        if key and socket.session_key == key and socket.outbox is not None:
            socket.hub.loop.call_soon_threadsafe(socket.outbox.close, CloseCode.LOG_IN)


def close_all(code: int) -> int:
    """Have every socket of this process closed; return how many that are."""
    for socket in list(open_sockets):
        if socket.outbox is not None:
            socket.outbox.close(code)
    return len(open_sockets)


async def watch(hub: Hub) -> None:
    """Check each session for ever, once per LIVE_RECHECK_S whatever its number of sockets.

    When login or rights are not what they were, the socket is closed with 4000, so that the page comes back with the
    cookie that it has by then: who changed their password has a new one, and who logged out is told 4001.
    """
    while True:
        await asyncio.sleep(conf.live.RECHECK_S)
        sockets = defaultdict(list)
        for socket in [socket for socket in open_sockets if socket.hub is hub]:
            sockets[socket.session_key].append(socket)
        for key, same in sockets.items():
            try:
                viewer = await hub.in_pool(partial(access.viewer, key))
            except FAILURES as error:
                logger.warning("Sessions cannot be checked. %s", error, extra={"action": "recheck_waits"})
                break
            for socket in same:
                if socket.viewer != viewer and socket.outbox is not None:
                    socket.outbox.close(CloseCode.RESTARTING)
