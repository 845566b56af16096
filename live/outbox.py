"""What waits for one socket: bounded, so that a slow browser costs no memory and gets the newest state instead."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import lru_cache

from live import conf, events


class Outbox:
    """Frames for one socket, in order. Above LIVE_OUTBOX_FRAMES they give way to one snapshot per subscription."""

    #: Frames that gave way to a snapshot, in this process.
    merged = 0

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        #: The code that the socket is closed with, once it is asked to; nothing is taken in any more then.
        self.closing: int | None = None
        self._frames: deque[tuple[str, str]] = deque()
        #: Subscriptions that need a snapshot before anything else.
        self._behind: dict[str, None] = {}

    def put(self, sub: str, kind: str, rest: str) -> None:
        """Add a frame of a subscription; `rest` is its JSON without the opening, shared by all sockets."""
        if sub in self._behind or self.closing is not None:
            return
        if len(self._frames) >= conf.live.OUTBOX_FRAMES:
            self._fall_behind()
            self.fall_behind(sub)
            return
        self._frames.append((sub, opened(kind, sub, rest)))
        self.ready.set()

    def put_frame(self, frame: str) -> None:
        """Add a frame that belongs to no subscription; it is dropped when the socket is far behind."""
        if self.closing is None and len(self._frames) < conf.live.OUTBOX_FRAMES * 2:
            self._frames.append(("", frame))
            self.ready.set()

    def fall_behind(self, sub: str) -> None:
        """Have a snapshot sent next, in place of what waits for this subscription."""
        if self.closing is None:
            self._drop(lambda frame_of: frame_of == sub)
            self._behind[sub] = None
            self.ready.set()

    def forget(self, sub: str) -> None:
        """Drop what waits for a subscription that has ended."""
        self._drop(lambda frame_of: frame_of == sub)
        self._behind.pop(sub, None)

    def close(self, code: int) -> None:
        """Have the socket closed, after the answers that wait; what its subscriptions still had to say is dropped.

        So nothing of a run leaves after a logout, and a page that comes back is told by its `since`.
        """
        if self.closing is None:
            self.closing = code
            self._drop(bool)
            self._behind.clear()
        self.ready.set()

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._frames and not self._behind

    def take(self) -> tuple[str, str]:
        """Return the next (frame, "") or ("", subscription that needs a snapshot), or ("", "") when nothing waits."""
        for sub in self._behind:
            del self._behind[sub]
            return "", sub
        if self._frames:
            return self._frames.popleft()[1], ""
        if self.closing is None:
            self.ready.clear()
        return "", ""

    def _fall_behind(self) -> None:
        waiting = [sub for sub, _ in self._frames if sub]
        Outbox.merged += len(waiting)
        self._behind.update(dict.fromkeys(waiting))
        self._drop(bool)

    def _drop(self, is_of: Callable[[str], bool]) -> None:
        self._frames = deque(frame for frame in self._frames if not is_of(frame[0]))


@lru_cache(maxsize=16)
def opened(kind: str, sub: str, rest: str) -> str:
    """Return a whole frame of a subscription: one text for all sockets that ask alike, so that it is framed once."""
    return f'{{"type":"{kind}","sub":{events.encode(sub).decode()},{rest}'
