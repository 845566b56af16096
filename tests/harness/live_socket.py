"""A client of the WebSocket that a test can hold on to: connects as a browser does, keeps what came, waits for more."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.harness.wait import Late

Frame = dict[str, Any]


class LiveSocket:
    """One socket. `rows` is what a page would show by now; `seen` holds all states each run was seen in."""

    def __init__(self, origin: str, session_key: str = "", path: str = "/ws/live/", **options: Any) -> None:
        headers = {"Cookie": f"sessionid={session_key}"} if session_key else {}
        self._closing = contextlib.ExitStack()
        claimed = options.pop("claimed_origin", origin)
        address = origin.replace("http", "ws", 1) + path
        # Without a bound on what waits here, so that a journey that looks elsewhere is no slow reader.
        limits: dict[str, Any] = {"max_size": None, "max_queue": None, **options}
        connection = connect(address, origin=claimed, additional_headers=headers, **limits)
        self.socket = self._closing.enter_context(connection)
        self.frames: list[Frame] = []
        self.rows: dict[str, dict[str, Any]] = {}
        self.seen: dict[str, list[str]] = {}
        self.counts: dict[str, int] = {}

    def __enter__(self) -> LiveSocket:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing.close()

    def say(self, **frame: Any) -> None:
        """Send one frame."""
        self.socket.send(json.dumps(frame))

    def subscribe(self, topic: str = "runs", sub: str = "a", **options: Any) -> Frame:
        """Subscribe and return the snapshot, or the changes that resume."""
        self.say(type="subscribe", sub=sub, topic=topic, **options)
        return self.wait_for(lambda frame: frame.get("sub") == sub and frame["type"] in ("snapshot", "changes"))

    def subscribe_and_hear(self, topic: str, sub: str) -> Frame:
        """Subscribe and return whatever answers it, an error too."""
        self.say(type="subscribe", sub=sub, topic=topic)
        return self.wait_for(lambda frame: frame.get("sub") == sub)

    def wait_for_loss_of(self, run_id: str, seconds: float) -> None:
        """Return once the socket shows a run no longer, or is closed."""
        try:
            self.wait_for(lambda _: run_id not in self.rows, seconds)
        except ConnectionClosed:
            return

    def wait_for(self, wanted: Callable[[Frame], object], seconds: float = 20) -> Frame:
        """Return the next frame that is wanted; raise Late, with the last frames, at the deadline."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                frame = self._take(json.loads(self.socket.recv(timeout=left)))
            except TimeoutError:
                break
            if wanted(frame):
                return frame
        raise Late(f"No such frame in {seconds} s; the last ones were {self.frames[-5:]}")

    def drain(self) -> None:
        """Take what has come already."""
        while True:
            try:
                self._take(json.loads(self.socket.recv(timeout=0)))
            except TimeoutError:
                return

    def wait_for_state(self, run_id: str, *states: str, seconds: float = 20) -> dict[str, Any]:
        """Return the row of a run once the socket has said that it is in one of the states."""
        if self.rows.get(run_id, {}).get("state") not in states:
            self.wait_for(lambda _: self.rows.get(run_id, {}).get("state") in states, seconds)
        return self.rows[run_id]

    def wait_for_close(self, seconds: float = 30) -> tuple[int, str]:
        """Return the code and the reason with which the server closes."""
        try:
            self.wait_for(lambda _: False, seconds)
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
        raise AssertionError("unreachable: wait_for ends with a frame, Late or ConnectionClosed")

    def _take(self, frame: Frame) -> Frame:
        self.frames.append(frame)
        if frame["type"] == "snapshot":
            self.rows.clear()
        for row in frame.get("runs", []):
            self.rows[row["id"]] = row
            states = self.seen.setdefault(row["id"], [])
            if states[-1:] != [row["state"]]:
                states.append(row["state"])
        for run_id in frame.get("removed", []):
            self.rows.pop(run_id, None)
        self.counts = frame.get("counts", self.counts)
        return frame
