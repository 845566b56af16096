"""The web process: a client that does not read costs no memory and nobody else's time, and a stop is said and quick."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket as sockets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed

from scripts import redis_server
from tests.harness.live_socket import LiveSocket
from tests.harness.need import ROOT
from tests.harness.processes import Process, answers
from tests.harness.stack import MakeStack, Stack
from tests.harness.wait import until
from tests.live.readers import Announcer, log_of
from tests.live.rows import make_row

SEND_TIMEOUT_S = 1.0
STOP_S = 5.0
#: One change is so large (400 KB) that the kernel holds few of them.
RUNS, RUN_CHARS = 20, 20_000
CHANGES = 60
#: What the process may grow by meanwhile: 21 MiB on a quiet machine; unbounded, the five sockets would take 120 MiB.
LIMIT_MIB = 72
MIB = 1 << 20


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """Services without a web server yet."""
    stack = make_stack(LIVE_SEND_TIMEOUT_S=SEND_TIMEOUT_S, LIVE_HEAD_CHECK_S=0.05, LIVE_EMBED_RECORDER=False)
    stack.ask("make_user", "clerk")
    return stack


@pytest.fixture
def web(stack: Stack) -> Iterator[Process]:
    """A web server that runs when the test begins; its log holds no traceback when the test ends."""
    if "web" not in stack.processes or not stack.processes["web"].alive:
        stack.start("web")
    yield stack.processes["web"]
    assert "Traceback" not in stack.processes["web"].text()


@pytest.fixture
def announce(stack: Stack) -> Iterator[Announcer]:
    """Say rows to the stack's Redis."""
    with log_of(stack) as announcer:
        yield announcer


def connect(stack: Stack, **options: object) -> LiveSocket:
    return LiveSocket(stack.origin, stack.ask("log_in", "clerk"), **options)


def connect_with_small_window(stack: Stack) -> LiveSocket:
    """Return a socket that takes little before it is read from."""
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
    raw.connect(("127.0.0.1", stack.port))
    return connect(stack, sock=raw, max_queue=1, close_timeout=0.1, ping_interval=None)


def change_all(announce: Announcer, task: str, moment: int) -> None:
    text = f"{moment}".rjust(RUN_CHARS)
    announce(*(make_row(f"{task}-{n}", owner="clerk", task=task, moment=moment, args=text) for n in range(RUNS)))


def wait_for_moment(socket: LiveSocket, moment: int) -> None:
    """Return once the socket shows every run as it is at the moment."""

    def is_shown(_: object) -> bool:
        return len(socket.rows) == RUNS and all(row["version"][2] == moment for row in socket.rows.values())

    socket.wait_for(is_shown)
    socket.frames.clear()


def test_who_never_reads_is_cut_while_memory_stays_and_others_are_served(
    stack: Stack, web: Process, announce: Announcer
) -> None:
    with contextlib.ExitStack() as opened:
        reader = opened.enter_context(connect(stack))
        deaf = [opened.enter_context(connect_with_small_window(stack)) for _ in range(5)]
        for socket in deaf:
            socket.say(type="subscribe", sub="a", topic="runs", filter={"task": "deaf"})
        reader.subscribe(filter={"task": "deaf"})
        change_all(announce, "deaf", 1)
        wait_for_moment(reader, 1)
        before, slowest = memory_mib(web), 0.0

        for moment in range(2, CHANGES):
            begun = time.monotonic()
            change_all(announce, "deaf", moment)
            wait_for_moment(reader, moment)
            slowest = max(slowest, time.monotonic() - begun)
            assert memory_mib(web) < before + LIMIT_MIB

        until(lambda: web.text().count("does not read and is cut") >= len(deaf), "the deaf to be cut", 10)
        assert slowest < SEND_TIMEOUT_S * 3
        assert answers(f"{stack.origin}/healthz")
        for socket in deaf:
            with pytest.raises(ConnectionClosed):
                while True:
                    socket.socket.recv(timeout=5)


def test_who_reads_slowly_is_kept_and_skips_to_the_newest_state(
    stack: Stack, web: Process, announce: Announcer
) -> None:
    cut = web.text().count("does not read and is cut")
    with connect(stack) as reader, connect_with_small_window(stack) as slow:
        for socket in (reader, slow):
            socket.subscribe(filter={"task": "slow"})
        begun, moment, heard = time.monotonic(), 0, 0
        while time.monotonic() < begun + 2.5 * SEND_TIMEOUT_S:
            moment += 1
            change_all(announce, "slow", moment)
            wait_for_moment(reader, moment)
            # One frame for many: far slower than they come.
            if moment % 5 == 0:
                slow.wait_for(bool, 5)
                heard += 1

        wait_for_moment(slow, moment)
        assert slow.subscribe(sub="b", filter={"task": "slow"})["type"] == "snapshot"
    assert 1 < heard < moment / 4
    assert web.text().count("does not read and is cut") == cut


def test_sigterm_says_4000_to_every_socket_and_ends_the_process_in_time(
    stack: Stack, web: Process, announce: Announcer
) -> None:
    with contextlib.ExitStack() as opened:
        listening = [opened.enter_context(connect(stack)) for _ in range(3)]
        for socket in listening[:2]:
            socket.subscribe(filter={"task": "stop"})
        deaf = opened.enter_context(connect_with_small_window(stack))
        deaf.say(type="subscribe", sub="a", topic="runs", filter={"task": "stop"})
        for moment in range(1, 21):
            change_all(announce, "stop", moment)
            wait_for_moment(listening[0], moment)
        begun = time.monotonic()

        web.process.send_signal(signal.SIGTERM)
        codes = [socket.wait_for_close(STOP_S)[0] for socket in listening]
        code = web.process.wait(STOP_S)

        assert codes == [4000] * len(listening)
        assert time.monotonic() - begun < STOP_S
        assert code == 0
    assert not answers(f"{stack.origin}/healthz")


def test_a_port_that_is_taken_is_said_in_one_line(stack: Stack) -> None:
    with sockets.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "manage.py", "live_server", "--port", port]
        done = subprocess.run(command, cwd=ROOT, env=stack.env, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert "Traceback" not in done.stderr


async def test_three_hundred_sockets_may_come_at_once(stack: Stack, web: Process, announce: Announcer) -> None:
    change_all(announce, "crowd", 1)
    cookie = f"sessionid={stack.ask('log_in', 'clerk')}"
    asking = json.dumps({"type": "subscribe", "sub": "a", "topic": "runs", "filter": {"task": "crowd"}, "limit": 5})

    async def come() -> int:
        address = stack.origin.replace("http", "ws") + "/ws/live/"
        headers = {"Cookie": cookie}
        async with connect_async(address, additional_headers=headers, max_size=None, open_timeout=30) as socket:
            assert json.loads(await socket.recv())["type"] == "hello"
            await socket.send(asking)
            while (frame := json.loads(await socket.recv()))["type"] != "snapshot":
                assert frame["type"] in ("beat", "changes")
            return len(frame["runs"])

    async with asyncio.timeout(60):
        shown = await asyncio.gather(*(come() for _ in range(300)))

    assert shown == [5] * 300


#: A server of one application, which takes its time over `/slow` and answers `/large` with 8 MB.
ONE_APPLICATION = """
import asyncio, sys
from live.server import BoundedServer

async def application(scope, receive, send):
    if scope["path"] == "/slow":
        print("begun", flush=True)
        await asyncio.sleep(0.5)
    body = b"x" * 8_000_000 if scope["path"] == "/large" else b"done"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

BoundedServer(application, endpoints=[f"tcp:port={sys.argv[1]}:interface=127.0.0.1"]).run()
"""


def test_requests_are_answered_in_full_and_those_that_run_at_the_end_too(stack: Stack, tmp_path: Path) -> None:
    port = redis_server.free_port()
    code = f"import django; django.setup()\n{ONE_APPLICATION}"
    server = Process("one", [sys.executable, "-c", code, str(port)], stack.env, tmp_path)
    address = f"http://127.0.0.1:{port}"
    with contextlib.ExitStack() as ends, ThreadPoolExecutor(1) as pool:
        ends.callback(server.kill)
        server.wait_for(lambda: answers(address), "it answers")

        large = get(f"{address}/large")
        slow = pool.submit(get, f"{address}/slow")
        until(lambda: "begun" in server.text(), "the request to run")
        server.ask_to_stop()

        assert slow.result(10) == b"done", server.tail()
        assert len(large) == 8_000_000
        assert server.process.wait(STOP_S) == 0
        assert "Traceback" not in server.text()


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return bytes(answer.read())


def memory_mib(process: Process) -> float:
    return float(psutil.Process(process.process.pid).memory_info().rss / MIB)
