"""An invoice as PDF/A-3, set by Typst: the same invoice gives the same bytes.

What it says goes to the template as data, so nothing in it can be markup. Packages bring fonts for more scripts than
Typst has of itself, and those of the system come last; a character that no font has is printed as a box.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any

import typst
from django.utils import translation

from billing import pdf_texts
from billing.models import Invoice

TEMPLATE = Path(__file__).parent / "typst" / "invoice.typ"
#: Installed packages of fonts; the template names what is in them, so that it is taken before the system's.
FONT_PACKAGES = ("noto_cjk_sans_otc", "pylopdf_fonts_ar", "pylopdf_fonts_hi", "pylopdf_fonts_th")
BOX = "\u25a1"
#: Controls, halves of pairs and unassigned characters; no font has them, and none of them is a letter.
_NO_TEXT = {"Cc", "Cs", "Cn"}
#: They turn the order of what follows: a name could make an amount read backwards.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_NOT_SHOWN = re.compile(r'the text `"((?:[^"\\]|\\.)+)"` could not be displayed')
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")

#: One compiler serves the whole process, and one thread at a time.
_one_at_a_time = Lock()


def render(invoice: Invoice) -> bytes:
    """Return an issued invoice as PDF, in its buyer's language."""
    with translation.override(pdf_texts.spoken(invoice.buyer.get("language", ""))):
        content = pdf_texts.content_of(invoice)
    boxed: frozenset[str] = frozenset()
    with _one_at_a_time:
        while True:
            try:
                return _set(_plain(content, boxed))
            except typst.TypstError as error:
                missing = _not_shown(error) - boxed
                if not missing:
                    raise
                boxed |= missing


def _set(content: dict[str, Any]) -> bytes:
    data = json.dumps(content, ensure_ascii=False)
    made = _compiler().compile(format="pdf", sys_inputs={"data": data}, pdf_standards=["a-3b"])
    assert isinstance(made, bytes)
    return made


@cache
def _compiler() -> typst.Compiler:
    """Read the fonts once; it takes longer than an invoice."""
    fonts = [Path(str(files(name))) for name in FONT_PACKAGES]
    return typst.Compiler(input=TEMPLATE, root=TEMPLATE.parent, font_paths=fonts)


def _plain(value: Any, boxed: frozenset[str]) -> Any:
    """Return the same content, with a box for each character that cannot be shown."""
    if isinstance(value, str):
        return "".join(_shown(character, boxed) for character in _TURNING.sub("", value))
    if isinstance(value, dict):
        return {name: _plain(one, boxed) for name, one in value.items()}
    return [_plain(one, boxed) for one in value] if isinstance(value, (list, tuple)) else value


def _shown(character: str, boxed: frozenset[str]) -> str:
    if character.isascii() and character.isprintable():
        return character
    return BOX if character in boxed or unicodedata.category(character) in _NO_TEXT else character


def _not_shown(error: typst.TypstError) -> set[str]:
    """Return what no font has, from Typst's report."""
    found = _NOT_SHOWN.findall(error.diagnostic)
    return {
        character
        for text in found
        for character in _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
        if not character.isascii()
    }
