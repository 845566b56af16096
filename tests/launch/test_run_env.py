"""var/run.env: what a second terminal finds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import run_env
from tests.harness.need import ROOT
from tests.launch.starts import clean_env


def test_it_passes_on_all_that_the_settings_read() -> None:
    read = set(re.findall(r'env(?:iron)?\.\w+\(\s*"(\w+)"', (ROOT / "tat" / "settings.py").read_text()))

    assert set(run_env.PASSED_ON) == read - {"TAT_VAR_DIR", "DATABASE_POOL"}


def test_the_key_is_made_once_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SECRET_KEY")
    first = run_env.compose(tmp_path, 8000)
    run_env.write(tmp_path, first)

    assert run_env.compose(tmp_path, 8001)["SECRET_KEY"] == first["SECRET_KEY"]
    assert len(first["SECRET_KEY"]) > 50


def test_the_settings_read_a_value_back_as_it_was(tmp_path: Path) -> None:
    url = "redis://user:it's%20#a\"'\\n$word@127.0.0.1:6379/5"
    run_env.write(tmp_path, {"REDIS_URL": url, "SECRET_KEY": "x" * 50, "DEBUG": "1"})

    code = "from tat import settings; print(settings.REDIS_URL)"
    env = {**clean_env(), "TAT_VAR_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)

    assert done.stdout.strip() == url, done.stderr


def test_the_lock_of_a_killed_start_is_free_again(tmp_path: Path) -> None:
    os.close(run_env.lock(tmp_path, "http://127.0.0.1:1/"))

    os.close(run_env.lock(tmp_path, "http://127.0.0.1:2/"))

    assert (tmp_path / "run.lock").read_text() == f"{os.getpid()} http://127.0.0.1:2/\n"
