"""Frames go straight to an idle socket: whole, in order, and not at all when something waits before them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.tcp import Server
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from live import direct

SIZES = [0, 1, 125, 126, 65_535, 65_536, 300_000]


class Reactor:
    """Notes who wants to write, as the reactor would."""

    def __init__(self) -> None:
        self.writers: set[Any] = set()
        self.addWriter = self.writers.add
        self.removeWriter = self.writers.discard
        self.addReader = self.removeReader = lambda reader: None


@pytest.fixture
def pair() -> Iterator[tuple[Any, socket.socket]]:
    """A protocol on a real socket whose buffer is small, and the other end."""
    near, far = socket.socketpair()
    for end in (near, far):
        end.setblocking(False)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)
    protocol: Any = SimpleNamespace(STATE_OPEN=3, state=3, _perMessageCompress=None)
    protocol.transport = Server(near, protocol, ("", 0), SimpleNamespace(_realPortNumber=0), 0, Reactor())
    yield protocol, far
    near.close()
    far.close()


def read_texts(data: bytes) -> list[str]:
    """Read frames as a WebSocket client does."""
    reader, texts = StreamReader(), []
    reader.feed_data(data)
    reader.feed_eof()
    while not _is_done(reader):
        parsing = Frame.parse(reader.read_exact, mask=False)
        try:
            next(parsing)
        except StopIteration as done:
            assert (done.value.opcode, done.value.fin) == (Opcode.TEXT, True)
            texts.append(done.value.data.decode())
    return texts


def _is_done(reader: StreamReader) -> bool:
    try:
        next(reader.at_eof())
    except StopIteration as done:
        return bool(done.value)
    return False


def drain(protocol: Any, far: socket.socket) -> bytes:
    """Read the other end and let the transport write, until nothing is left."""
    data = b""
    while True:
        try:
            data += far.recv(65_536)
        except BlockingIOError:
            if not (protocol.transport.dataBuffer or protocol.transport._tempDataBuffer):
                return data
            protocol.transport.doWrite()


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_of_any_size_arrives_as_it_was_said(pair: tuple[Any, socket.socket], size: int) -> None:
    protocol, far = pair
    text = "é" * (size // 2) + "x" * (size % 2)

    assert direct.write(protocol, text)

    assert read_texts(drain(protocol, far)) == [text]


def test_a_frame_behind_one_that_the_socket_did_not_take_at_once_goes_the_usual_way(
    pair: tuple[Any, socket.socket],
) -> None:
    protocol, far = pair
    first, second = "1" * 500_000, "2"

    assert direct.write(protocol, first)
    assert not direct.write(protocol, second)
    protocol.transport.write(direct.frame(second))

    assert read_texts(drain(protocol, far)) == [first, second]
    assert direct.write(protocol, "3")


@pytest.mark.parametrize("change", [{"state": 2}, {"_perMessageCompress": object()}], ids=["closing", "compressed"])
def test_a_socket_that_is_not_plainly_open_is_left_to_the_usual_way(
    pair: tuple[Any, socket.socket], change: dict[str, Any]
) -> None:
    protocol, far = pair
    vars(protocol).update(change)

    assert not direct.write(protocol, "text")
    assert drain(protocol, far) == b""


def test_a_socket_whose_other_end_is_gone_is_left_to_the_usual_way(pair: tuple[Any, socket.socket]) -> None:
    protocol, far = pair
    far.close()

    assert not direct.write(protocol, "text")
