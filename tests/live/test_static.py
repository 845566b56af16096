"""The scripts as they are served outside DEBUG: every module under a hashed name, imports included."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

MODULES = sorted((Path(settings.BASE_DIR) / "live" / "static" / "live").rglob("*.js"))
_IMPORT = re.compile(r"^(?:import|export)\b[^;]*?[\"'](\.[^\"']+)[\"'](;?)", re.MULTILINE)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_each_relative_import_is_static_names_a_file_and_ends_with_a_semicolon(module: Path) -> None:
    source = module.read_text(encoding="utf-8")

    for name, end in _IMPORT.findall(source):
        assert (module.parent / name).is_file()
        assert end == ";"
    assert not re.search(r"\bimport\(['\"`.]*[^)]*\)\s*[;.]", re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_no_module_makes_markup_from_text(module: Path) -> None:
    source = module.read_text(encoding="utf-8")

    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML|\beval\b", source)


def test_collected_modules_import_each_other_by_their_hashed_names(tmp_path: Path, settings: Any) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": "tat.staticfiles.ModuleManifestStorage"}}

    call_command("collectstatic", verbosity=0, interactive=False)

    for module in MODULES:
        hashed = [path for path in tmp_path.rglob(f"{module.stem}.*.js") if path.parent.name == module.parent.name]
        assert len(hashed) == 1, module.name
        for name, _ in _IMPORT.findall(hashed[0].read_text(encoding="utf-8")):
            assert re.search(r"\.[0-9a-f]{12}\.js$", name)
            assert (hashed[0].parent / name).is_file()
