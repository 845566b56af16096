"""What a page would do with a socket: follow all runs, through `live` or through the recipe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from bench.sockets import Socket, connect_many
from bench.stage import Stage

SUBSCRIBE = b'{"type":"subscribe","sub":"a","topic":"runs","limit":200}'
READY_S = 60.0

#: Makes the tables, a user who sees all runs, and a session; prints the session's key.
LOG_IN = """
import django
django.setup()
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
call_command("migrate", verbosity=0)
user, _ = User.objects.get_or_create(username="viewer", is_superuser=True)
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
print(session.session_key)
"""


class Frame(NamedTuple):
    """One frame as a page understands it."""

    type: str
    #: The rows it brings, by id; for the recipe its message.
    rows: dict[str, dict[str, Any]]


class Frames:
    """Decodes frames; one that came to many sockets is decoded once, so that this process stays light."""

    def __init__(self) -> None:
        self.known: dict[bytes, Frame] = {}

    def decode(self, text: bytes) -> Frame:
        """Return the frame, decoded."""
        frame = self.known.get(text)
        if frame is None:
            value = msgspec.json.decode(text)
            runs = [value] if value["type"] == "task.update" else value.get("runs", [])
            frame = self.known[text] = Frame(value["type"], {row["id"]: row for row in runs})
        return frame


class Page:
    """One socket and what it showed when."""

    def __init__(self, frames: Frames, on_rows: Callable[[int, Frame], None]) -> None:
        self.frames = frames
        self.on_rows = on_rows
        self.ready = False
        self.rows: dict[str, dict[str, Any]] = {}
        self.socket: Socket | None = None

    def take(self, text: bytes) -> None:
        """Take one frame."""
        frame = self.frames.decode(text)
        if frame.type == "error":
            raise RuntimeError(f"Expected rows; the server answered {text.decode()}")
        if frame.type == "snapshot":
            self.ready = True
            self.rows = dict(frame.rows)
        elif frame.rows:
            self.rows.update(frame.rows)
            self.on_rows(time.time_ns(), frame)


def log_in(stage: Stage, variant: str) -> str:
    """Return the cookie of a user who sees all runs."""
    return f"sessionid={stage.run(variant, '-c', LOG_IN).strip()}"


async def until(holds: Callable[[], bool], limit_s: float, what: str) -> None:
    """Wait until the condition holds; raises TimeoutError when it does not in time."""
    deadline = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Expected within {limit_s:.0f} s that {what}.")
        await asyncio.sleep(0.05)


async def open_pages(port: int, cookie: str, variant: str, pages: list[Page]) -> None:
    """Connect pages, subscribe them, and wait until each has its snapshot."""
    sockets = await connect_many(port, cookie, [page.take for page in pages])
    for page, socket in zip(pages, sockets, strict=True):
        page.socket = socket
        if variant == "live":
            socket.send(SUBSCRIBE)
        else:
            page.ready = True
    await until(lambda: all(page.ready for page in pages), READY_S, "every page has its snapshot")


def close_pages(pages: list[Page]) -> None:
    """Close the sockets, and hold that none was closed before."""
    lost = [page.socket.closed for page in pages if page.socket and page.socket.closed]
    if lost:
        raise RuntimeError(f"Expected all {len(pages)} sockets to stay open; {len(lost)} were closed: {set(lost)}.")
    for page in pages:
        if page.socket:
            page.socket.transport.abort()
