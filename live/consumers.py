"""Door 1: the WebSocket. The socket reads; acting is done by HTTP POST."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer

from live import access, conf, events, frames, hub, outbox, queries, sessions, topics
from live.feed import FeedKey, list_key
from live.frames import BadFrame, CloseCode

logger = logging.getLogger(__name__)

#: Lists that a socket follows at once: each change is laid over every one of them.
_MAX_LISTS = 10
#: Frames that nobody can follow, after which the other end does not speak our protocol.
_MAX_BAD_FRAMES = 10
#: Seconds that hello waits for the first look at the log, so that it can tell where the log stands.
_GREETING_S = 1.0


class LiveConsumer(AsyncWebsocketConsumer):
    """One browser's socket on `/ws/live/`."""

    #: The hub has the one subscription on the channel layer; a socket needs none.
    channel_layer_alias = ""
    #: None until the login is known to hold.
    outbox: outbox.Outbox | None = None

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Serve one socket. However it ends, and the server may also cut it off, nothing of it stays."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Call the handler as it is: the stock one first hops to the one thread that all sync code shares."""
        await getattr(self, get_handler_name(message))(message)

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        """Called at the handshake: origin, then session, then hello."""
        headers = dict(self.scope["headers"])
        if not access.origin_allowed(headers, self.scope.get("scheme", "ws")):
            await self.close()
            return
        self.hub = hub.for_loop()
        self.session_key = access.session_key(headers)
        try:
            viewer = await self.hub.in_pool(lambda: access.viewer(self.session_key))
        except hub.FAILURES as error:
            logger.warning("No login without the database. %s", error, extra={"action": "socket_refused"})
            await self.accept()
            await self.close(CloseCode.RESTARTING)
            return
        await self.accept()
        if viewer is None:
            await self.close(CloseCode.LOG_IN)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_GREETING_S):
                await self.hub.follower.ready.wait()
        self._begin(viewer)

    def _begin(self, viewer: queries.Viewer) -> None:
        self.viewer = viewer
        self.outbox = outbox.Outbox()
        self.subscriptions: dict[str, FeedKey] = {}
        self._throttle = frames.Throttle()
        self._bad_frames = 0
        epoch = self.hub.epoch_for(viewer)
        self._put("hello", v=1, epoch=epoch, seq=self.hub.seq, beat_s=conf.live.BEAT_S, **self._clock())
        self.hub.on_contact.add(self._beat)
        sessions.join(self)
        self._jobs = [asyncio.create_task(self._write()), asyncio.create_task(self._beat_for_ever())]
        self._jobs[0].add_done_callback(_report)

    def _end(self) -> None:
        if self.outbox is None:
            return
        for sub, key in self.subscriptions.items():
            self.hub.unsubscribe(key, self.outbox, sub)
        self.subscriptions = {}
        self.hub.on_contact.discard(self._beat)
        sessions.leave(self)
        for job in self._jobs:
            job.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Called with each frame of the client."""
        if self.outbox is None or self.outbox.closing is not None:
            return
        if self._throttle.exceeded():
            self.outbox.close(CloseCode.TOO_MANY)
        elif text_data is None or len(text_data) > conf.live.MAX_FRAME_BYTES:
            self.outbox.close(CloseCode.NOT_OUR_PROTOCOL)
        else:
            await self._follow(text_data)

    async def _follow(self, text: str) -> None:
        try:
            frame = frames.read(text)
            if isinstance(frame, frames.Unsubscribe):
                self._unsubscribe(frame.sub)
            else:
                await self._subscribe(frame)
        except BadFrame as error:
            self._put("error", sub=error.sub, code=error.code, message=str(error))
            # A page with many boxes asks for too much in our own words.
            self._bad_frames += error.code != "too_many"
            if self._bad_frames >= _MAX_BAD_FRAMES:
                self._close(CloseCode.NOT_OUR_PROTOCOL)
        except hub.FAILURES as error:
            logger.warning("A subscription fails. %s", error, extra={"action": "subscribe_failed"})
            self._close(CloseCode.RESTARTING)

    async def _subscribe(self, frame: frames.Subscribe) -> None:
        key = self._key(frame)
        self._unsubscribe(frame.sub)
        lists = sum(not other.run_id for other in self.subscriptions.values())
        if len(self.subscriptions) >= conf.live.MAX_SUBSCRIPTIONS or (lists >= _MAX_LISTS and not key.run_id):
            most = f"{conf.live.MAX_SUBSCRIPTIONS} subscriptions, {_MAX_LISTS} of them to lists"
            raise BadFrame("too_many", f"A socket has at most {most}.", frame.sub)
        assert self.outbox is not None
        since = (frame.since.epoch, frame.since.seq) if frame.since else None
        await self.hub.subscribe(key, self.outbox, frame.sub, since)
        self.subscriptions[frame.sub] = key

    def _key(self, frame: frames.Subscribe) -> FeedKey:
        if frame.topic == topics.RUNS:
            return list_key(self.viewer, frames.filter_of(frame), frame.limit)
        run_id = topics.run_id_of(frame.topic)
        if run_id is None:
            raise BadFrame("unknown_topic", f"There is no topic {frame.topic[:100]!r}.", frame.sub)
        return FeedKey(viewer=self.viewer, run_id=run_id)

    def _unsubscribe(self, sub: str) -> None:
        key = self.subscriptions.pop(sub, None)
        if key is not None and self.outbox is not None:
            self.hub.unsubscribe(key, self.outbox, sub)
            self.outbox.forget(sub)

    def _put(self, kind: str, **fields: Any) -> None:
        if self.outbox is not None:
            self.outbox.put_frame(events.encode({"type": kind, **fields}).decode())

    def _close(self, code: int) -> None:
        if self.outbox is not None:
            self.outbox.close(code)

    def _clock(self) -> dict[str, Any]:
        follower = self.hub.follower
        return {"now": datetime.now(UTC), "as_of": follower.as_of, "in_contact": follower.in_contact}

    def _beat(self) -> None:
        self._put("beat", seq=self.hub.seq, **self._clock())

    async def _beat_for_ever(self) -> None:
        while True:
            await asyncio.sleep(conf.live.BEAT_S)
            self._beat()

    async def _write(self) -> None:
        """Take from the outbox, as fast as the socket takes it."""
        waiting = self.outbox
        assert waiting is not None
        while True:
            await waiting.ready.wait()
            frame, behind = waiting.take()
            if behind and behind in self.subscriptions:
                rest = self.hub.snapshot(self.subscriptions[behind])
                frame = outbox.opened("snapshot", behind, rest) if rest else ""
            if frame:
                await self.send(text_data=frame)
            if waiting.closing is not None and waiting.empty:
                await self.close(waiting.closing)
                return


def _report(writer: asyncio.Task[None]) -> None:
    """Say it when a writer failed: its page hears nothing more, and comes back by itself."""
    if not writer.cancelled() and (error := writer.exception()):
        logger.error("A socket's writer failed.", exc_info=error, extra={"action": "write_failed"})
