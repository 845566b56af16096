"""Settings with their defaults and units; each is `LIVE_<NAME>` in Django's settings and optional."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

from django.conf import settings
from django.core.signals import setting_changed

T = TypeVar("T")


class Setting(Generic[T]):
    """One `LIVE_…` setting: read on first use, and again when a test's override_settings says that it changed."""

    def __init__(self, default: T, help: str) -> None:
        self.default = default
        self.help = help
        #: Empty until it is read. A thread that reads while a test changes it fills a list that nobody looks at.
        self._read: list[Any] = []
        setting_changed.connect(self._forget, weak=False)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"LIVE_{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            return self
        # Django takes 2 µs to say that a setting is not there, and a run reads a dozen.
        read = self._read
        if not read:
            read.append(getattr(settings, self.name, self.default))
        return read[0]

    def _forget(self, **_: Any) -> None:
        self._read = []


class Settings:
    """All settings; docs/settings.md is held against this list by a test."""

    REDIS_URL = Setting("", "The Redis of the log. Empty: the channel layer's first host, else Celery's broker.")
    KEY_PREFIX = Setting("live:", "What every key of ours in Redis begins with.")
    CHANNEL_LAYER = Setting("default", "The alias of the channel layer that carries the news.")
    ALLOWED_ORIGINS = Setting[list[str]](
        [], "Origins that may open the WebSocket, in full (https://example.org). Empty: the page's own origin."
    )
    EMBED_RECORDER = Setting(True, "Run the recorder in a thread of the web process.")
    REDACT = Setting[list[str]](
        ["password", "passwd", "secret", "token", "api_key", "apikey", "authorization", "card", "iban"],
        "Arguments whose name contains one of these are struck out before they leave the process.",
    )
    IGNORE_TASKS = Setting[list[str]](
        ["celery.chord_unlock"], "Tasks that are not followed, as shell patterns of their names."
    )

    TEXT_CHARS = Setting(1_024, "Characters kept of arguments, a result or an error's message.")
    TRACEBACK_CHARS = Setting(6_000, "Characters kept of a traceback, its end.")
    BUFFER_ROWS = Setting(10_000, "Rows a process holds while Redis is away; above it a run's older rows are merged.")
    BATCH_ROWS = Setting(500, "Rows in one entry of the log.")
    GATHER_MS = Setting(50, "Milliseconds a process gathers rows for one batch under load.")
    PROGRESS_PER_S = Setting(10, "Progress rows a second that leave the process for one run.")
    FLUSH_MS = Setting(1_000, "Milliseconds the end of a process may wait for what is still in its buffer.")
    LOG_KEEP_ENTRIES = Setting(5_000, "Recorded entries kept in the log for pages that come back.")
    LOG_MAX_ENTRIES = Setting(100_000, "Entries of the log at most, recorded or not.")
    REDIS_TIMEOUT_S = Setting(2.0, "Seconds one command to Redis may take.")

    TICK_MS = Setting(50, "Milliseconds between two frames of changes under load.")
    HEAD_CHECK_S = Setting(2.0, "Seconds between two looks at the head of the log.")
    TAIL_ROWS = Setting(10_000, "Newest rows of the log each web process keeps in memory.")
    PAGE_ROWS = Setting(50, "Rows of a list.")
    MAX_PAGE_ROWS = Setting(200, "Rows of a list a client may ask for.")
    MAX_SUBSCRIPTIONS = Setting(100, "Subscriptions of one socket; a list beyond page 1 has one a row.")
    MAX_FRAME_BYTES = Setting(65_536, "Bytes of one frame from a client.")
    MAX_BODY_BYTES = Setting(67_108_864, "Bytes of one HTTP request's body that live_server takes.")
    MAX_FRAMES_PER_10_S = Setting(100, "Frames a client may send in ten seconds before it is closed with 4029.")
    OUTBOX_FRAMES = Setting(20, "Frames that wait for one slow socket; above it they become one snapshot.")
    SEND_TIMEOUT_S = Setting(10.0, "Seconds a socket may refuse to read before it is closed with 4008.")
    BEAT_S = Setting(10.0, "Seconds between two beat frames.")
    RECHECK_S = Setting(10.0, "Seconds between two checks that a socket's session and rights still hold.")
    DATABASE_THREADS = Setting(4, "Threads through which the sockets of one process read the database.")

    LEASE_S = Setting(10.0, "Seconds after which another recorder takes over from one that is gone.")
    WORKER_BEAT_S = Setting(2.0, "Seconds between two heartbeats of a worker.")
    WORKER_GONE_S = Setting(12.0, "Seconds without a heartbeat after which a worker's runs are lost.")
    KEEP_DAYS = Setting(14, "Days a finished run is kept in the database; 0 means for ever.")


live = Settings()
