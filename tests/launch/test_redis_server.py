"""The Redis of our own: found, kept on disk, and never mistaken for somebody else's."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from scripts import redis_server
from scripts.exceptions import RedisServerError
from tests.harness.need import ROOT
from tests.harness.wait import until


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    redis = redis_server.start(tmp_path)
    redis_server.ask(redis.port, "SET", "name", "value")
    redis.kill()

    again = redis_server.start(tmp_path, port=redis.port)

    assert redis_server.ask(again.port, "GET", "name") == "$5\r\nvalue\r\n"
    again.stop()
    assert not again.process.poll()


def test_a_redis_that_is_there_already_is_not_taken_for_ours(tmp_path: Path) -> None:
    theirs = redis_server.start(tmp_path / "theirs")
    try:
        with pytest.raises(RedisServerError, match="did not start on port"):
            redis_server.start(tmp_path / "ours", port=theirs.port)

        assert redis_server.ask(theirs.port, "PING") == "+PONG\r\n"
    finally:
        theirs.stop()


def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    redis = redis_server.start(tmp_path)

    places = {listening.laddr.ip for listening in psutil.Process(redis.process.pid).net_connections()}
    redis.stop()

    assert places == {"127.0.0.1"}


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = """
import os, sys
from scripts import redis_server
print(redis_server.start(sys.argv[1]).process.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    owner = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True)

    assert owner.returncode == -signal.SIGKILL
    until(lambda: _gone(int(owner.stdout)), "the server to end")


def test_without_any_server_a_sentence_says_what_to_do(tmp_path: Path) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho Redis server v=6.0.16 sha=00000000:0\n")
    old.chmod(0o755)
    code = """
import pathlib, sys
from scripts import redis_server
redis_server.ROOT = pathlib.Path(sys.argv[1])
try:
    print(redis_server.find_server())
except redis_server.RedisServerError as error:
    print(error)
"""

    done = subprocess.run(
        [sys.executable, "-S", "-c", code, tmp_path],  # -S: without any packages
        cwd=ROOT,
        env={"PATH": f"{tmp_path}:/bin"},
        capture_output=True,
        text=True,
    )

    assert done.stdout == (
        "No Redis server was found: install Redis 7 or newer, or Valkey, so that redis-server or valkey-server is on"
        f" PATH, or set REDIS_URL to one that runs. ({old} is version 6.0.16, too old.)\n"
    ), done.stderr


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
