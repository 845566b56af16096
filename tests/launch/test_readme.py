"""The README's own commands, run as they stand there."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.harness.need import ROOT
from tests.launch.starts import Start, clean_env

BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCK.findall((ROOT / "README.md").read_text()) for line in block.splitlines()]
BESIDE = [line for line in COMMANDS if line.startswith(".venv/")]


def test_the_readme_names_the_two_commands_and_what_goes_on_beside_them() -> None:
    assert {"./run", "./test"} <= set(COMMANDS)
    assert len(BESIDE) == 3


@pytest.mark.parametrize("command", BESIDE)
def test_a_command_of_the_readme_works_beside_a_running_tat(running: Start, command: str) -> None:
    done = subprocess.run(
        command, shell=True, cwd=running.directory, env=clean_env(), capture_output=True, text=True, timeout=90
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["run", "test"])
def test_a_command_of_the_readme_explains_itself(name: str) -> None:
    done = subprocess.run([ROOT / name, "--help"], env=clean_env(), capture_output=True, text=True, timeout=30)

    assert done.returncode == 0
    assert f"usage: ./{name}" in done.stdout


def test_what_the_readme_points_at_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text())

    missing = [link for link in links if not (ROOT / link).exists()]

    assert links
    assert not missing
