"""Reads the lines of a binary file one by one, in bounded memory whatever the file holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, NamedTuple

MAX_LINE_BYTES = 4_096
SKIP_BYTES = 65_536


class Line(NamedTuple):
    """A line without its end, its number counted from 1, and the offset at which the next one begins."""

    data: bytes
    number: int
    end: int
    is_too_long: bool


def read_lines(file: IO[bytes], offset: int, number: int) -> Iterator[Line]:
    """Read from `offset`, the end of line `number`; of a line that is too long only the beginning is kept."""
    file.seek(offset)
    while data := file.readline(MAX_LINE_BYTES + 2):  # two bytes for CR LF
        number += 1
        offset += len(data)
        kept, rest = data.rstrip(b"\r\n"), data
        is_too_long = len(kept) > MAX_LINE_BYTES
        while not rest.endswith(b"\n") and (rest := file.readline(SKIP_BYTES)):
            offset += len(rest)
            is_too_long = True
        yield Line(kept[:MAX_LINE_BYTES], number, offset, is_too_long)


def shown(data: bytes, limit: int) -> str:
    """The beginning of a line, with what cannot be shown written as \\x00."""
    text = data[:limit].decode(errors="backslashreplace")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)[:limit]
