"""Static files outside DEBUG: modules import each other by their hashed names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management import call_command


def test_a_module_imports_another_by_its_hashed_name(tmp_path: Path, settings: Any) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "page.js").write_text('import { fill } from "./fill.js";\nexport { fill } from "./fill.js";\nfill();\n')
    (source / "fill.js").write_text("export const fill = () => {};\n")
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.STATICFILES_DIRS = [source]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": "tat.staticfiles.ModuleManifestStorage"}}

    call_command("collectstatic", verbosity=0, interactive=False)

    (fill,) = settings.STATIC_ROOT.glob("fill.????????????.js")
    (page,) = settings.STATIC_ROOT.glob("page.????????????.js")
    assert page.read_text().count(f'"./{fill.name}"') == 2
    assert "./fill.js" not in page.read_text()
