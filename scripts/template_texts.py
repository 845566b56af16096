"""Lets Babel extract the texts of Django's templates: Django turns each into Python that Babel can read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any

from babel.messages.extract import extract_python
from django.conf import settings
from django.utils.translation.template import templatize


def extract(file: IO[bytes], keywords: Any, comment_tags: Any, options: Any) -> Iterator[Any]:
    """Give each text of a template, as Babel wants it: line, function, text or texts, comments."""
    if not settings.configured:
        settings.configure()
    python = templatize(file.read().decode())
    yield from extract_python(io.BytesIO(python.encode()), keywords, comment_tags, options)
