"""The text of a PDF as a person copies it from a browser."""

from __future__ import annotations

import re

from pypdfium2 import PdfDocument


def pages(content: bytes) -> list[str]:
    """Return the text of each page."""
    document = PdfDocument(content)
    return ["\n".join(page.get_textpage().get_text_bounded().splitlines()) for page in document]


def metadata(content: bytes) -> str:
    """Return the XMP metadata."""
    found = re.search(rb"<\?xpacket.*\?>", content, re.DOTALL)
    assert found, "no metadata was found"
    return found[0].decode()
