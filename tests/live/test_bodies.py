"""What a request may bring: the web server keeps serving, and keeps its memory, whatever somebody uploads."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.harness.processes import Process
from tests.harness.stack import Stack

MIB = 1 << 20
LIMIT_MIB = 64


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, int]]:
    """A real web server, on a database without tables: what is asked here comes to none."""
    directory = tmp_path_factory.mktemp("web")
    stack = Stack(directory, f"sqlite:///{directory / 'db.sqlite3'}", LIVE_EMBED_RECORDER=False)
    try:
        yield stack.start("web").processes["web"], stack.port
    finally:
        stack.close()


def test_a_body_above_the_limit_is_refused_and_not_kept(web: tuple[Process, int]) -> None:
    process, port = web
    before = _memory_mib(process)

    status = _post(port, mib=512, chunked=False)

    assert status == 413
    assert _memory_mib(process) < before + LIMIT_MIB


def test_a_body_that_does_not_say_its_length_is_refused_and_not_kept(web: tuple[Process, int]) -> None:
    process, port = web
    before = _memory_mib(process)

    status = _post(port, mib=512, chunked=True)

    assert status == 413
    assert _memory_mib(process) < before + 2 * LIMIT_MIB


def test_a_body_within_the_limit_reaches_django(web: tuple[Process, int]) -> None:
    _, port = web

    # CSRF is Django's answer, so Django has seen it.
    assert _post(port, mib=1, chunked=False) == 403


def _memory_mib(process: Process) -> int:
    return int(psutil.Process(process.process.pid).memory_info().rss / MIB)


def _post(port: int, mib: int, chunked: bool) -> int:
    def parts(path: Path = Path("/dev/zero")) -> Iterator[bytes]:
        with path.open("rb") as zeros:
            for _ in range(mib):
                yield zeros.read(MIB)

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "multipart/form-data; boundary=b"} | (
        {} if chunked else {"Content-Length": str(mib * MIB)}
    )
    try:
        connection.request("POST", "/accounts/login/", parts(), headers, encode_chunked=chunked)
        return connection.getresponse().status
    finally:
        connection.close()
