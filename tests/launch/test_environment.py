"""The .venv: made once, filled again when a lock file changes, and what an old or bare Python is told."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from scripts import environment, python_version
from scripts.exceptions import LaunchError
from tests.harness.need import ROOT

LOCK = "requirements.txt"


@pytest.fixture
def bare_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project whose lock file asks for nothing, and that has no .venv."""
    for name, value in {"ROOT": tmp_path, "VENV": tmp_path / ".venv", "PYTHON": tmp_path / ".venv/bin/python"}.items():
        monkeypatch.setattr(environment, name, value)
    (tmp_path / LOCK).write_text("# nothing\n")
    return tmp_path


def test_the_venv_is_filled_when_the_lock_file_has_changed_and_only_then(
    bare_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert environment.ensure(LOCK).exists()
    assert "Prepared .venv" in capsys.readouterr().out

    environment.ensure(LOCK)
    assert capsys.readouterr().out == ""

    (bare_project / LOCK).write_text("# nothing else\n")
    environment.ensure(LOCK)
    assert "Prepared .venv" in capsys.readouterr().out


def test_what_cannot_be_installed_ends_in_a_sentence_and_is_tried_again(bare_project: Path) -> None:
    (bare_project / "broken").mkdir()
    (bare_project / LOCK).write_text("./broken\n")

    for _ in range(2):
        with pytest.raises(LaunchError, match="could not be installed"):
            environment.ensure(LOCK)


def test_a_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "FREE_MB", 10**9)

    with pytest.raises(LaunchError, match=r"The disk of .* is full: \d+ MB are free, and 1000000000 MB are needed\."):
        environment.require_free_disk(tmp_path)


@pytest.mark.parametrize("name", ["run", "test", "scripts/__init__.py", "scripts/python_version.py"])
def test_an_old_python_can_read_what_tells_it_that_it_is_old(name: str) -> None:
    ast.parse((ROOT / name).read_text(), feature_version=(3, 6))


def test_an_old_python_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(SystemExit) as raised:
        python_version.require("./run")

    assert raised.value.code == (
        "tat needs Python 3.11 or newer, and this is Python 3.10. Install a newer one (Debian and Ubuntu: apt install"
        " python3 python3-venv; macOS: brew install python), then start this again."
    )


def test_a_python_without_its_venv_module_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(SystemExit, match="apt install python3-venv"):
        python_version.require(str(tmp_path / "run"))
