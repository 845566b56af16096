"""The documents say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from live import events, frames
from live.conf import Setting, Settings
from tests.harness.need import ROOT

DOCS = sorted((ROOT / "docs").glob("*.md"))


def test_every_setting_of_live_stands_in_the_table_with_its_default_and_meaning() -> None:
    lines = (ROOT / "docs" / "settings.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("| `LIVE_")]
    settings = {name: value for name, value in vars(Settings).items() if isinstance(value, Setting)}

    expected = [f"| `LIVE_{name}` | {_shown(setting.default)} | {setting.help} |" for name, setting in settings.items()]

    assert [line for line in table if line in expected] == expected


def test_every_variable_of_the_settings_module_is_described() -> None:
    read = set(re.findall(r'env\.\w+\("(\w+)"', (ROOT / "tat" / "settings.py").read_text()))
    described = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs" / "settings.md").read_text()))

    assert read
    assert read <= described


def test_the_wire_page_has_every_field_of_a_row_and_every_close_code() -> None:
    page = (ROOT / "docs" / "wire.md").read_text()
    fields = re.search(r"^`(id task [a-z_\s]+ version)`", page, re.MULTILINE)
    codes = {value for name, value in vars(frames.CloseCode).items() if name.isupper()}

    assert fields
    assert tuple(fields[1].split()) == events.Row.__struct_fields__
    assert {int(code) for code in re.findall(r"^\| (4\d{3}) \|", page, re.MULTILINE)} == codes


def test_the_glossary_has_every_state() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text()

    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(events.STATES)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_what_a_page_points_at_is_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert not [link for link in links if not (page.parent / link).exists()]


def _shown(default: object) -> str:
    text = ", ".join(default) if isinstance(default, list) else str(default)
    return f"`{text}`" if text else "empty"
