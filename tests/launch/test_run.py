"""./run: how it ends, and what it says when it cannot begin."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts import processes, redis_server
from tests.launch.starts import STOP_S, Start

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def hang_up() -> Iterator[None]:
    """Let what is started hear of a closed terminal, also if these tests were told not to (nohup)."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_sigterm_stops_everything_within_ten_seconds_but_not_a_redis_of_the_users(
    start: Callable[..., Start], tmp_path: Path
) -> None:
    theirs = redis_server.start(tmp_path / "theirs")
    try:
        redis_server.ask(theirs.port, "SET", "theirs", "precious")
        mine = {"TAT_VAR_DIR": str(tmp_path / "var"), "TAT_ADMIN_PASSWORD": "chosen-by-me"}
        one = start(REDIS_URL=theirs.url, PYTHONDONTWRITEBYTECODE="1", **mine).wait_for("Stop it with")
        began = time.monotonic()

        one.process.send_signal(signal.SIGTERM)
        told = one.rest()

        assert time.monotonic() - began < STOP_S
        assert one.process.returncode == 0
        assert "Stopping (SIGTERM)" in told and told.endswith("Stopped.\n")
        assert one.leftovers(0.5) == []
        assert "password as set by TAT_ADMIN_PASSWORD" in told and "chosen-by-me" not in told
        assert redis_server.ask(theirs.port, "GET", "theirs") == "$8\r\nprecious\r\n"
        assert not (tmp_path / "var" / "redis").exists()
        assert list((tmp_path / "var" / "bytecode").rglob("settings.*.pyc")), "else every start compiles all modules"
    finally:
        theirs.stop()


def test_after_kill_9_nothing_is_left_and_the_next_start_runs_until_its_terminal_closes(
    start: Callable[..., Start], hang_up: None
) -> None:
    one = start().wait_for("Stop it with")

    one.process.kill()
    next_one = start().wait_for("Stop it with")
    assert one.leftovers(0.5) == []

    next_one.process.send_signal(signal.SIGHUP)
    assert next_one.rest().endswith("Stopped.\n")
    assert next_one.leftovers(0.5) == []


def test_what_the_processes_may_take_to_stop_leaves_a_second_of_the_ten() -> None:
    steps = [step for name, value in vars(processes).items() if name.endswith("_STOPS") for step in value]

    assert len(steps) == 6, "web, beat, redis and mail have one, the worker two"
    assert sum(seconds for _, seconds in steps) <= STOP_S - 1


def test_a_child_that_dies_is_named_with_its_last_lines(start: Callable[..., Start], var: Path) -> None:
    (var / "demo-made").touch()
    one = start().wait_for("Stop it with")

    one.child("celery -A tat worker").kill()
    told = one.rest(STOP_S + 5)

    assert one.process.returncode == 1
    assert "The worker process was killed by SIGKILL, so all is stopped. The last lines of" in told
    assert len(told.partition("worker.log:\n")[2].splitlines()) == 20 + 1, "20 lines and `Stopped.`"
    assert one.leftovers(0.5) == []


def test_a_redis_that_does_not_answer_is_one_sentence(start: Callable[..., Start]) -> None:
    port = redis_server.free_port()

    one = start(REDIS_URL=f"redis://:secret@127.0.0.1:{port}/0")
    told = one.rest(60)

    assert one.process.returncode == 1
    assert f"The Redis at 127.0.0.1:{port} (REDIS_URL) does not answer" in told
    assert "secret" not in told and "Traceback" not in told


def test_a_port_in_use_is_one_sentence(project: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        one = Start(project, TAT_VAR_DIR=str(tmp_path), port=port)
        told = one.rest()

    assert one.process.returncode == 1
    assert told.startswith(f"Port {port} cannot be used (Address already in use)")
    assert len(told.splitlines()) == 1


def test_a_var_directory_that_cannot_be_made_is_one_sentence(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    one = Start(project, TAT_VAR_DIR=str(tmp_path / "file" / "var"))

    assert one.rest() == f"{tmp_path}/file/var/logs cannot be used: Not a directory.\n"
    assert one.process.returncode == 1
