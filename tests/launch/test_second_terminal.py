"""Beside a running ./run, what the Celery tutorial does works in a second terminal without setting anything."""

from __future__ import annotations

import http.cookiejar
import re
import subprocess
import urllib.parse
import urllib.request
from functools import partial
from pathlib import Path

from scripts import children
from tests.harness.wait import until
from tests.launch.starts import Start, clean_env


def terminal(running: Start, *words: str) -> str:
    """Run a program of .venv in the project, and return what it prints; it must succeed."""
    done = subprocess.run(
        [running.directory / ".venv" / "bin" / words[0], *words[1:]],
        cwd=running.directory,
        env=clean_env(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_redis_ping_answers_pong(running: Start) -> None:
    assert terminal(running, "python", "manage.py", "redis", "ping") == "PONG\n"


def test_the_shell_sends_a_task_and_gets_its_result(running: Start) -> None:
    code = "from billing.tasks import sum_two_numbers; print(sum_two_numbers.delay(32, 11).get(timeout=30))"

    printed = terminal(running, "python", "manage.py", "shell", "--command", code)

    assert printed.splitlines()[-1] == "43"


def test_another_worker_and_another_beat_find_the_same_redis(running: Start, tmp_path: Path) -> None:
    bin_ = running.directory / ".venv" / "bin"
    for name, ready in (("worker", "ready."), ("beat", "beat: Starting...")):
        log = tmp_path / f"{name}.log"
        process = children.spawn(
            [bin_ / "celery", "-A", "tat", name, "-l", "info"], log, clean_env(), running.directory
        )
        try:
            until(partial(_holds, log, ready), f"{name}: {ready}", 60, log.read_text)
        finally:
            children.stop(process)

        assert f"Connected to {terminal_url(running)}" in log.read_text() or name == "beat"
        assert "DuplicateNodename" not in log.read_text()


def test_the_password_in_the_banner_lets_the_admin_in(running: Start) -> None:
    site = f"http://127.0.0.1:{running.port}"
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar), urllib.request.ProxyHandler({}))
    with browser.open(f"{site}/admin/login/") as page:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())
    assert token
    form = {"username": "admin", "password": running.password(), "csrfmiddlewaretoken": token[1], "next": "/admin/"}

    with browser.open(f"{site}/admin/login/", urllib.parse.urlencode(form).encode()) as page:
        assert page.url == f"{site}/admin/"


def test_only_the_user_can_read_the_password_and_the_key(running: Start) -> None:
    for name in ("admin-password", "run.env"):
        assert (running.directory / "var" / name).stat().st_mode & 0o777 == 0o600


def test_a_second_run_says_where_the_first_one_is(running: Start) -> None:
    second = Start(running.directory)

    told = second.rest()

    assert second.process.returncode == 1
    assert told == (
        f"tat already runs here, at http://127.0.0.1:{running.port}/ (process {running.process.pid}):"
        f" stop it with Ctrl-C, or with kill {running.process.pid}.\n"
    )


def _holds(log: Path, words: str) -> bool:
    return words in log.read_text()


def terminal_url(running: Start) -> str:
    """Return where the Redis of this start is, as Celery prints it."""
    found = re.search(r"redis://(127\.0\.0\.1:\d+/\d+)", running.text)
    assert found
    return f"redis://:**@{found[1]}"
