"""The demo of ./run: begun at each start until it is whole, and then never again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts import launcher
from scripts.supervisor import Supervisor


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project whose `manage.py demo` ends with the exit code that `code` holds."""
    (tmp_path / "manage.py").write_text("import sys; print(sys.argv[1:]); sys.exit(int(open('code').read()))")
    monkeypatch.setattr(launcher, "ROOT", tmp_path)
    return tmp_path


def test_a_demo_that_was_stopped_is_begun_again_and_a_whole_one_is_not(project: Path) -> None:
    supervisor = Supervisor(project, project)
    for code in (1, 0):
        (project / "code").write_text(str(code))
        made = launcher._make_demo(supervisor, project, os.environ)
        assert made and made.wait(60) == code
        assert supervisor.log("demo").read_text() == "['demo']\n"

    assert launcher._make_demo(supervisor, project, os.environ) is None
