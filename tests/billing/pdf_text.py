"""The text of a PDF as a reader copies it: enough of the format for what Typst writes."""

from __future__ import annotations

import re
import zlib
from functools import reduce

_OBJECT = re.compile(rb"(?:^|\n)(\d+) 0 obj\n(.*?)\nendobj", re.DOTALL)
_STREAM = re.compile(rb"stream\n(.*)\nendstream", re.DOTALL)
_STEP = re.compile(rb"/(f\d+) [\d.]+ Tf|\(((?:[^\\()]|\\.)*)\)|\b(ET)\b", re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_CHAR = re.compile(rb"<([0-9A-F]{4})> <([0-9A-F]+)>")


def pages(content: bytes) -> list[str]:
    """Return the text of each page, a line for each piece that is set."""
    objects = {int(number): body for number, body in _OBJECT.findall(content)}
    kids = re.search(rb"/Type/Pages/Count \d+/Kids\[([^\]]+)\]", content)
    assert kids, "no pages were found"
    return [_page(objects, objects[int(number)]) for number in re.findall(rb"(\d+) 0 R", kids[1])]


def metadata(content: bytes) -> str:
    """Return the XMP metadata."""
    found = re.search(rb"<\?xpacket.*\?>", content, re.DOTALL)
    assert found, "no metadata was found"
    return found[0].decode()


def _page(objects: dict[int, bytes], page: bytes) -> str:
    resources = objects[_reference(page, b"Resources")]
    fonts = re.search(rb"/Font<<(.*?)>>", resources)
    assert fonts, "a page without fonts"
    letters = {
        name: _letters(objects, objects[int(number)]) for name, number in re.findall(rb"/(f\d+) (\d+) 0 R", fonts[1])
    }
    said, font = [], b""
    for match in _STEP.finditer(_unpacked(objects[_reference(page, b"Contents")])):
        font = match[1] or font
        if match[3]:
            said.append("\n")
        elif match[2] is not None:
            glyphs = _ESCAPE.sub(_unescaped, match[2])
            said += [letters[font].get(glyphs[at : at + 2], "�") for at in range(0, len(glyphs), 2)]
    return reduce(str.__add__, said, "")


def _letters(objects: dict[int, bytes], font: bytes) -> dict[bytes, str]:
    table = _unpacked(objects[_reference(font, b"ToUnicode")])
    return {
        bytes.fromhex(glyph.decode()): bytes.fromhex(text.decode()).decode("utf-16-be")
        for glyph, text in _CHAR.findall(table)
    }


def _reference(body: bytes, name: bytes) -> int:
    found = re.search(rb"/%s (\d+) 0 R" % name, body)
    assert found, f"no {name!r} in {body[:200]!r}"
    return int(found[1])


def _unpacked(body: bytes) -> bytes:
    found = _STREAM.search(body)
    assert found, "no stream was found"
    return zlib.decompress(found[1])


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8)]) if match[1][:1].isdigit() else _LETTERS.get(match[1], match[1])
