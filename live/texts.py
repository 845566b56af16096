"""What a row may carry of a task's values: bounded, with secrets struck out, clean enough for any database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from billiard.einfo import ExceptionWithTraceback
from kombu.utils.encoding import safe_repr

from live import conf, events

STRUCK = "•••"
CUT = "…"
_MAX_ITEMS = 20
_MAX_DEPTH = 4
_MAX_STRING_CHARS = 300


def clean(text: str) -> str:
    """Make a text storable anywhere: no NUL, which PostgreSQL refuses, and no lone surrogate, which UTF-8 refuses."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "�").encode("utf-8", "replace").decode("utf-8")


def cut(text: str, chars: int) -> str:
    """Keep the beginning of a text."""
    return clean(text if len(text) <= chars else text[: chars - 1] + CUT)


def value(value: Any) -> str:
    """Write a result as JSON text for people, at most LIVE_TEXT_CHARS long."""
    return _write(_prune(value, _MAX_DEPTH))


def arguments(args: Any, kwargs: Any, names: Sequence[str] = ()) -> tuple[str, str]:
    """Write a task's arguments as two JSON texts. `names` are the parameters' names, to find secrets by position."""
    shown = [
        STRUCK if position < len(names) and is_secret(names[position]) else _prune(value, _MAX_DEPTH)
        for position, value in enumerate(list(args or ())[: _MAX_ITEMS + 1])
    ]
    if len(shown) > _MAX_ITEMS:
        shown[_MAX_ITEMS] = CUT
    return _write(shown), _write(_prune(kwargs or {}, _MAX_DEPTH))


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
    message = str(exception) if exception is not None else ""
    return events.Error(
        type=cut(type(exception).__name__, 255),
        message=cut(message, conf.live.TEXT_CHARS),
        traceback=clean(text),
    )


def _write(value: Any) -> str:
    limit = conf.live.TEXT_CHARS
    return cut(msgspec.json.encode(value).decode(), limit)


def _prune(value: Any, depth: int) -> Any:
    """Copy at most so much of a value as people look at; a task with a megabyte of arguments must not pay for it."""
    if value is None or isinstance(value, bool | int | float):
        return value if not isinstance(value, int) or -(2**63) <= value < 2**64 else str(value)[:_MAX_STRING_CHARS]
    if isinstance(value, str):
        return cut(value, _MAX_STRING_CHARS)
    if depth == 0:
        return CUT
    if isinstance(value, Mapping):
        return _prune_mapping(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        shown = [_prune(item, depth - 1) for _, item in zip(range(_MAX_ITEMS), value, strict=False)]
        return [*shown, CUT] if len(value) > _MAX_ITEMS else shown
    return cut(safe_repr(value), _MAX_STRING_CHARS)


def _prune_mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for _, (name, item) in zip(range(_MAX_ITEMS), value.items(), strict=False):
        name = cut(str(name), _MAX_STRING_CHARS)
        shown[name] = STRUCK if is_secret(name) else _prune(item, depth - 1)
    if len(value) > _MAX_ITEMS:
        shown[CUT] = CUT
    return shown
