"""`manage.py live_doctor` beside real parts: it says what works, and ends with an error when something does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness.need import ROOT
from tests.harness.stack import MakeStack, Stack
from tests.harness.wait import until

LIMIT_S = 60  # every wait of the doctor has a limit, so it ends well before


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """A stack with everything, which these tests take apart."""
    return make_stack("web", "worker", "beat")


@pytest.fixture(autouse=True)
def whole(stack: Stack) -> None:
    """Each test begins with all parts at work, whichever were stopped by the one before."""
    stack.start(*(name for name, process in stack.processes.items() if not process.alive))


def examine(stack: Stack, *options: str) -> tuple[int, dict[str, str]]:
    """Run the doctor and return its exit code and what it says of each part, with `ok` or `FAIL` before it."""
    command = [sys.executable, "manage.py", "live_doctor", "--no-color", *options]
    done = subprocess.run(command, cwd=ROOT, env=stack.env, capture_output=True, text=True, timeout=LIMIT_S)
    assert "Traceback" not in done.stderr, done.stderr
    lines = (line.split(": ", 1) for line in done.stdout.splitlines())
    return done.returncode, {head.split(" ", 1)[1].strip(): f"{head.split()[0]} {rest}" for head, rest in lines}


def test_all_parts_that_run_are_well(stack: Stack) -> None:
    run_id = stack.send("sum_two_numbers", 1, 2)
    stack.wait_for_state(run_id, "succeeded")

    code, said = examine(stack, "--url", stack.origin, "--user", "admin")

    assert code == 0, said
    assert list(said) == ["Redis", "Channel layer", "Database", "Recorder", "Workers", "Beat", "Web server"]
    assert all(line.startswith("ok ") for line in said.values()), said
    assert "the list of runs" in said["Web server"]


def test_without_a_user_the_refusal_of_the_web_server_is_the_proof(stack: Stack) -> None:
    code, said = examine(stack, "--url", stack.origin)

    assert code == 0, said
    assert "without login" in said["Web server"]


def test_an_address_where_nobody_listens_is_named(stack: Stack) -> None:
    code, said = examine(stack, "--url", "http://127.0.0.1:1")

    assert code == 1
    assert said["Web server"].startswith("FAIL http://127.0.0.1:1 does not answer")


def test_a_user_who_is_not_there_is_named(stack: Stack) -> None:
    code, said = examine(stack, "--url", stack.origin, "--user", "nobody-of-this-name")

    assert code == 1
    assert "no user 'nobody-of-this-name'" in said["Web server"]


def test_what_has_stopped_is_missed(stack: Stack) -> None:
    stack.stop("beat")
    stack.stop("worker")
    stack.stop("web")
    stack.ask("delay", "billing.tasks.sum_two_numbers", 3, 4)
    until(lambda: examine(stack)[1]["Workers"].startswith("FAIL"), "the worker to be missed", 40)

    code, said = examine(stack)

    assert code == 1
    assert {name for name, line in said.items() if line.startswith("FAIL")} == {"Recorder", "Workers"}
    assert "was not recorded" in said["Recorder"]
    assert said["Web server"].startswith("-- not asked")


def test_a_redis_that_is_gone_is_said_in_lines(stack: Stack) -> None:
    stack.kill_redis()
    try:
        code, said = examine(stack)
    finally:
        stack.restart_redis()

    assert code == 1
    failed = {name for name, line in said.items() if line.startswith("FAIL")}
    assert failed == {"Redis", "Channel layer", "Recorder", "Workers"}
    assert said["Database"].startswith("ok ")
