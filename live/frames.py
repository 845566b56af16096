"""What a client may send, and how: two frames, checked field by field. Anything else is answered, never a traceback."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import msgspec

from live import conf, topics

#: Seconds over which frames are counted.
_WINDOW_S = 10.0
_MAX_SUB_CHARS = 64


class CloseCode:
    """Why the server closes a socket; docs/wire.md says what the client does then."""

    RESTARTING = 4000
    LOG_IN = 4001
    NOT_YOURS = 4003
    TOO_SLOW = 4008
    TOO_MANY = 4029
    NOT_OUR_PROTOCOL = 4400


class BadFrame(ValueError):
    """A frame that cannot be followed; `code` and message go back to the client."""

    def __init__(self, code: str, message: str, sub: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.sub = sub


class Since(msgspec.Struct, frozen=True):
    """Up to where the client has everything."""

    epoch: str
    seq: int


class Subscribe(msgspec.Struct, frozen=True, tag="subscribe"):
    """Show me this topic from now on."""

    sub: str
    topic: str
    filter: Any = None
    limit: int | None = None
    since: Since | None = None


class Unsubscribe(msgspec.Struct, frozen=True, tag="unsubscribe"):
    """Show me this no longer."""

    sub: str


_decoder = msgspec.json.Decoder(Subscribe | Unsubscribe)


def read(text: str) -> Subscribe | Unsubscribe:
    """Read a client's frame. Raises BadFrame."""
    try:
        frame = _decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
        raise BadFrame("bad_request", f"Not a frame of ours: {str(error)[:200]}") from error
    if not frame.sub or len(frame.sub) > _MAX_SUB_CHARS:
        raise BadFrame("bad_request", f"A sub has 1 to {_MAX_SUB_CHARS} characters.", frame.sub[:_MAX_SUB_CHARS])
    return frame


def filter_of(frame: Subscribe) -> topics.Filter:
    """Return the frame's filter. Raises BadFrame."""
    try:
        return topics.Filter.from_wire({} if frame.filter is None else frame.filter)
    except topics.BadFilter as error:
        raise BadFrame("bad_request", str(error), frame.sub) from error


class Throttle:
    """Counts a client's frames (LIVE_MAX_FRAMES_PER_10_S)."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def exceeded(self) -> bool:
        """Note one more frame, and say whether that is too many."""
        now = time.monotonic()
        self._times.append(now)
        while self._times and self._times[0] < now - _WINDOW_S:
            self._times.popleft()
        return len(self._times) > conf.live.MAX_FRAMES_PER_10_S
