"""The translations: each text has one, with the same places to fill, and pages speak the user's language."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.test import Client

from tests.billing import trade
from tests.harness.need import ROOT

LANGUAGES = [code for code, _name in settings.LANGUAGES if code != "en"]


def folder(language: str) -> Path:
    return ROOT / "locale" / language / "LC_MESSAGES"


def catalogue(language: str) -> Catalog:
    with open(folder(language) / "django.po", "rb") as file:
        return read_po(file, locale=language)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """What `make messages` finds in the sources."""
    to = tmp_path_factory.mktemp("messages") / "messages.pot"
    keywords = ["-k", "gettext_lazy", "-k", "ngettext_lazy:1,2", "-k", "pgettext_lazy:1c,2"]
    command = [sys.executable, "-m", "babel.messages.frontend", "--quiet", "extract", "-F", "locale/babel.cfg"]
    subprocess.run([*command, *keywords, "-o", to, "."], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=True)
    return read_po(io.BytesIO(to.read_bytes()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_of_the_sources_is_translated(language: str, extracted: Catalog) -> None:
    known = catalogue(language)

    missing = [
        text.id
        for text in extracted
        if text.id and not ((found := known.get(text.id, text.context)) and _is_whole(found.string))
    ]

    assert len(extracted) > 500
    assert missing == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_are_whole_sure_and_have_the_same_places_to_fill(language: str) -> None:
    for text in catalogue(language):
        assert not text.id or _is_whole(text.string), text.id
        assert not text.id or not text.fuzzy, text.id
        assert not list(text.check()), text.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(language))

    assert (folder(language) / "django.mo").read_bytes() == compiled.getvalue()


@pytest.mark.parametrize(
    ("asked", "given", "word"), [("de", "de", "Kunden"), ("en", "en", "Customers"), ("fr", "en", "Customers")]
)
def test_a_page_is_in_the_language_of_the_browser_and_says_which(
    client: Client, clerk: Any, asked: str, given: str, word: str
) -> None:
    trade.make_customer()
    client.force_login(clerk)

    text = client.get("/billing/customers/", headers={"accept-language": asked}).text

    assert f'<html lang="{given}">' in text
    assert f"<h1>{word}</h1>" in text


def _is_whole(string: Any) -> bool:
    return all(string) if isinstance(string, tuple) else bool(string)
