"""Takes rows to the log and, as news, to the channel layer: a bounded buffer and one thread per process.

A task hands its row over and goes on at once. The thread is made on first use, per pid, so never before a fork. It
sends at once when idle, gathers under load, and holds what it has while Redis is away.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import encodings.idna  # noqa: F401  see `prepare`
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings
from django.utils.module_loading import import_string

from live import conf, events, stream
from live.buffer import Buffer
from live.pace import Pace

logger = logging.getLogger(__name__)

#: The channel layer's group, and the one message type on it.
GROUP = "live"
NEWS = "live.news"
#: Seconds between two tries while Redis is away: from, to.
_RETRY_S = (0.1, 1.0)
#: A Redis that dies may forget what it acknowledged in its last second or two; these batches are then said again.
#: So long after the last of them the thread looks whether it died, lest a process that falls silent never finds out.
_KEEP_SENT_S = 3.0
_KEEP_SENT = 100
#: What a Redis that is away, too old or at odds with us raises; the rows wait for it.
_AWAY = (*stream.Unavailable, stream.RedisTooOld, stream.redis.ResponseError)


class Publisher:
    """The buffer and the thread of one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.buffer = Buffer()
        self.news_failed = 0
        self._wake = threading.Condition(threading.Lock())
        self._idle = threading.Event()
        self._idle.set()
        self._asleep = False
        self._thread: threading.Thread | None = None
        self._pace = Pace()
        self._recent: deque[tuple[float, bytes]] = deque()
        self._worker: tuple[str, int, Callable[[], stream.Holding | None]] | None = None
        self._leaving = ""
        self._beat_due = 0.0
        self._failing = False
        self._say_again = False
        self._look_at: float | None = None

    def put(self, row: events.Row) -> None:
        """Announce a change of state; returns at once, whatever Redis does."""
        with self._wake:
            self.buffer.put(row)
            self._rouse()

    def offer(self, run_id: str, make_row: Callable[[], events.Row]) -> None:
        """Announce progress; `make_row` is called when it is sent, so that the newest goes."""
        with self._wake:
            waits = run_id in self.buffer.progress
            self.buffer.offer(run_id, make_row)
            if not waits:
                self._rouse()

    def keep_alive(self, worker: str, boot: int, holding: Callable[[], stream.Holding | None] = lambda: None) -> None:
        """Give signs of life of this worker from now on; `holding` is asked each time what it has in hand."""
        with self._wake:
            self._worker = (worker, boot, holding)
            self._rouse()

    def sign_off(self) -> None:
        """Stop the signs of life, when the worker stops in order; bounded by LIVE_FLUSH_MS."""
        with self._wake:
            if self._worker is not None:
                self._leaving, self._worker = self._worker[0], None
                self._rouse()
        self.flush()

    def flush(self) -> None:
        """Wait until all is sent, at most LIVE_FLUSH_MS; called at the end of a process."""
        if self._thread is not None:
            self._idle.wait(conf.live.FLUSH_MS / 1000)

    def forget_sent(self) -> None:
        """Say nothing again that was acknowledged; for tests that empty Redis."""
        self._recent.clear()
        self._look_at = None

    def _rouse(self) -> None:
        self._idle.clear()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="live-publish", daemon=True)
            self._thread.start()
        elif self._asleep:
            self._asleep = False
            self._wake.notify()

    def _run(self) -> None:
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            log: stream.Log | None = None
            retry_s = _RETRY_S[0]
            batch: list[events.Row] = []
            while True:
                try:
                    batch = batch or self._wait_for_batch()
                    log = log or stream.Log()
                    self._tend(log)
                    self._send(log, loop, batch)
                except stream.EpochChanged:
                    self._say_again = True
                    time.sleep(_RETRY_S[0])
                except _AWAY as error:
                    self._note_failure(error)
                    time.sleep(retry_s)
                    retry_s = min(retry_s * 2, _RETRY_S[1])
                except Exception:
                    # Nobody would start this thread again, so it outlives what nobody thought of.
                    logger.exception("%d rows are lost.", len(batch), extra={"action": "publish_failed"})
                    self.buffer.dropped += len(batch)
                    batch = []
                    time.sleep(_RETRY_S[0])
                else:
                    batch, retry_s = [], _RETRY_S[0]
                    self._note_success()

    def _note_failure(self, error: Exception) -> None:
        if not self._failing:
            logger.warning("Redis does not take the rows; they wait here. %s", error, extra={"action": "publish_waits"})
        self._failing = True

    def _note_success(self) -> None:
        if self._failing:
            counts = self.buffer.merged, self.buffer.dropped
            logger.warning("Redis takes rows again; %d merged, %d lost.", *counts, extra={"action": "publish_resumes"})
        self._failing = False

    def _wait_for_batch(self) -> list[events.Row]:
        with self._wake:
            while True:
                now = time.monotonic()
                due = self.buffer.next_due(now)
                if due is None and not self._leaving and not self._say_again:
                    self._idle.set()
                elif due is not None:
                    due = max(due, self._paced(now))
                due = self._due_anyway(now, due)
                if due is not None and due <= now:
                    return self._take(now)
                # With changes waiting it wakes by itself when they may go; to be woken for each row costs 90 µs a task.
                self._asleep = not self.buffer.changes
                self._wake.wait(None if due is None else due - now)
                self._asleep = False

    def _due_anyway(self, now: float, due: float | None) -> float | None:
        """Return when there is something to do, with rows due then or not at all."""
        if self._leaving or self._say_again:
            return now
        times = [due, self._beat_due if self._worker is not None else None, self._look_at]
        return min((time for time in times if time is not None), default=None)

    def _take(self, now: float) -> list[events.Row]:
        if self._paced(now) > now:
            return []
        batch = self.buffer.take(now)
        if batch:
            self._pace.spend()
        return batch

    def _paced(self, now: float) -> float:
        return self._pace.due(now, conf.live.GATHER_MS / 1000)

    def _tend(self, log: stream.Log) -> None:
        """Do what is due beside the rows; what nobody thought of costs none of them."""
        for work in (self._beat, self._look):
            try:
                work(log)
            except (stream.EpochChanged, *_AWAY):
                raise
            except Exception:
                logger.exception("The rows go on without it.", extra={"action": "publish_beside_failed"})
                time.sleep(_RETRY_S[0])

    def _beat(self, log: stream.Log) -> None:
        with self._wake:
            worker, leaving = self._worker, self._leaving
        if leaving:
            log.sign_off(leaving)
            self._leaving = ""
        elif worker is not None and time.monotonic() >= self._beat_due:
            name, boot, holding = worker
            log.beat(name, boot, holding())
            self._beat_due = time.monotonic() + conf.live.WORKER_BEAT_S

    def _look(self, log: stream.Log) -> None:
        """See to it that Redis still has what it acknowledged. Raises EpochChanged when it may not."""
        if self._look_at is not None and time.monotonic() >= self._look_at and not self._say_again:
            before = log.epoch
            if log.look_for_life() != before:
                raise stream.EpochChanged
            self._recent.clear()
            self._look_at = None

    def _send(self, log: stream.Log, loop: asyncio.AbstractEventLoop, batch: list[events.Row]) -> None:
        if self._say_again:
            for _, earlier in list(self._recent):
                self._append(log, loop, earlier)
                self._recent.popleft()
            self._say_again = False
        data = self._encode(batch)
        if data:
            self._append(log, loop, data)

    def _append(self, log: stream.Log, loop: asyncio.AbstractEventLoop, data: bytes) -> None:
        seq = log.append(data)
        now = time.monotonic()
        self._look_at = now + _KEEP_SENT_S
        self._recent.append((now, data))
        while not self._say_again and (self._recent[0][0] < now - _KEEP_SENT_S or len(self._recent) > _KEEP_SENT):
            self._recent.popleft()
        self._tell(loop, log.epoch, seq, data)

    def _encode(self, batch: list[events.Row]) -> bytes:
        data, lost = events.encode_what_can_be(batch)
        self.buffer.dropped += lost
        return data

    def _tell(self, loop: asyncio.AbstractEventLoop, epoch: str, seq: int, data: bytes) -> None:
        try:
            layer = get_channel_layer(conf.live.CHANNEL_LAYER)
            if layer is None:
                return
            message = {"type": NEWS, "epoch": epoch, "seq": seq, "rows": data}
            loop.run_until_complete(asyncio.wait_for(layer.group_send(GROUP, message), conf.live.REDIS_TIMEOUT_S))
        except Exception as error:
            # The log has the batch, and every hub looks at its head; so whatever a layer may raise, go on.
            self.news_failed += 1
            logger.info("News not told. %r", error, extra={"action": "news_failed", "seq": seq})


_publisher: Publisher | None = None
_make = threading.Lock()


def publisher() -> Publisher:
    """Return this process's publisher."""
    global _publisher
    found = _publisher
    if found is None or found.pid != os.getpid():
        with _make:
            if _publisher is None or _publisher.pid != os.getpid():
                _publisher = Publisher()
            found = _publisher
    return found


def prepare() -> None:
    """Import now what the thread would import by itself; called once per process by the app's `ready`.

    A child that is forked while a thread imports inherits a lock that nobody will ever let go, and hangs on it.
    """
    layers = getattr(settings, "CHANNEL_LAYERS", {})
    with contextlib.suppress(ImportError, KeyError):
        import_string(layers[conf.live.CHANNEL_LAYER]["BACKEND"])


def _forget() -> None:
    global _publisher, _make
    _publisher, _make = None, threading.Lock()


def flush(**_: Any) -> None:
    """Send what still waits, if this process ever announced anything; bounded by LIVE_FLUSH_MS."""
    if _publisher is not None and _publisher.pid == os.getpid():
        _publisher.flush()


# A forked child inherits neither the thread nor a lock that it may have held.
os.register_at_fork(after_in_child=_forget)
atexit.register(flush)
