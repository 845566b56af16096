"""What a row may carry of a task's values: bounded, with secrets struck out, clean enough for any database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from billiard.einfo import ExceptionWithTraceback

from live import conf, events

STRUCK = "•••"
CUT = "…"
_MAX_ITEMS = 20
_MAX_DEPTH = 4
_MAX_STRING_CHARS = 300
_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")


def clean(text: str) -> str:
    """Make a text storable anywhere: no NUL, which PostgreSQL refuses, and no lone surrogate, which UTF-8 refuses."""
    text = text if type(text) is str else str.__str__(text)  # JSON is written for no subclass, as SafeString is one
    return text if text.isascii() and "\x00" not in text else _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def cut(text: str, chars: int) -> str:
    """Keep the beginning of a text."""
    return clean(text if len(text) <= chars else text[: chars - 1] + CUT)


def say(value: Any, chars: int) -> str:
    """Write anything as a short text; what cannot even do that is named by its type."""
    try:
        return cut(str(value), chars)
    except Exception:
        return cut(f"<unprintable {type(value).__name__}>", chars)


def value(value: Any) -> str:
    """Write a result as JSON text for people, at most LIVE_TEXT_CHARS long. Never raises."""
    return _write(_prune_whole(value))


def arguments(args: Any, kwargs: Any, names: Sequence[str] = ()) -> tuple[str, str]:
    """Write a task's arguments as two JSON texts. `names` are the parameters' names, to find secrets by position.

    Never raises: what is broken in itself is named by its type.
    """
    given = list(args[: _MAX_ITEMS + 1]) if isinstance(args, list | tuple) else []
    shown = [
        STRUCK if position < len(names) and is_secret(names[position]) else _prune_whole(value)
        for position, value in enumerate(given)
    ]
    if len(shown) > _MAX_ITEMS:
        shown[_MAX_ITEMS] = CUT
    return _write(shown) if shown else "[]", _write(_prune_whole(kwargs)) if kwargs else "{}"


def is_secret(name: str) -> bool:
    """Whether an argument of this name is struck out (LIVE_REDACT)."""
    lower = name.lower()
    return any(part in lower for part in conf.live.REDACT)


def error(exception: Any, traceback: Any = None) -> events.Error:
    """Describe an exception; `traceback` is its text, if any. The end of a long one is kept, as the cause is there."""
    if isinstance(exception, ExceptionWithTraceback):
        exception = exception.exc
    keep = conf.live.TRACEBACK_CHARS
    text = traceback if isinstance(traceback, str) else ""
    text = text if len(text) <= keep else CUT + text[-keep:]
    return events.Error(
        type=cut(type(exception).__name__, 255),
        message=say(exception, conf.live.TEXT_CHARS) if exception is not None else "",
        traceback=clean(text),
    )


def _write(value: Any) -> str:
    return cut(msgspec.json.encode(value).decode(), conf.live.TEXT_CHARS)


class _Room:
    """How many characters may still be shown, whatever the nesting."""

    def __init__(self) -> None:
        self.chars = conf.live.TEXT_CHARS


def _prune_whole(value: Any) -> Any:
    """Copy at most so much of a value as people look at; a task with a megabyte of arguments must not pay for it."""
    try:
        return _prune(value, _MAX_DEPTH, _Room())
    except Exception:
        return f"<unreadable {type(value).__name__}>"


def _prune(value: Any, depth: int, room: _Room) -> Any:
    room.chars -= 4  # about what the shortest takes, with its quotes and comma
    if room.chars < 0:
        return CUT
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else say(value, _MAX_STRING_CHARS)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return CUT if depth == 0 else _prune_inside(value, depth - 1, room)
    if isinstance(value, bytes | bytearray):
        value = repr(bytes(value[:_MAX_STRING_CHARS]))
    text = cut(value if isinstance(value, str) else repr(value), _MAX_STRING_CHARS)
    room.chars -= len(text)
    return text


def _prune_inside(value: Any, depth: int, room: _Room) -> Any:
    first = range(_MAX_ITEMS)
    if not isinstance(value, Mapping):
        shown = [_prune(item, depth, room) for _, item in zip(first, value, strict=False)]
        return [*shown, CUT] if len(value) > _MAX_ITEMS else shown
    named: dict[str, Any] = {}
    for _, (name, item) in zip(first, value.items(), strict=False):
        text = say(name, _MAX_STRING_CHARS)
        room.chars -= len(text)
        named[text] = STRUCK if is_secret(text) else _prune(item, depth, room)
    return {**named, CUT: CUT} if len(value) > _MAX_ITEMS else named
