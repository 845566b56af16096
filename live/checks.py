"""System checks `live.E…` and `live.W…`: each names a set-up that has lost tasks or messages, and the way out.

They look at settings only and never at the network; `manage.py live_doctor` does that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import celery
import redis
from celery.utils.imports import symbol_by_name
from channels.layers import InMemoryChannelLayer
from channels_redis.core import RedisChannelLayer
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import connections, router
from django.utils.module_loading import import_string

from live import conf

CORE_LAYER_TIMEOUT_S = 15
TIME_LIMIT_MARGIN_S = 60
_PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"
_OWNER = "live.middleware.OwnerMiddleware"
_LOGIN = "django.contrib.auth.middleware.AuthenticationMiddleware"
_REDIS_SCHEMES = ("redis", "rediss", "redis+socket", "sentinel", "valkey", "valkeys")
_UNSAFE = {"pickle", "application/x-python-serialize"}


def check_channel_layer(**_: Any) -> Iterator[CheckMessage]:
    """The layer carries the news from the workers to the pages."""
    alias = conf.live.CHANNEL_LAYER
    config = getattr(settings, "CHANNEL_LAYERS", {}).get(alias)
    backend = import_string(config["BACKEND"]) if config else InMemoryChannelLayer
    if issubclass(backend, InMemoryChannelLayer):
        yield Warning(
            f"The channel layer {alias!r} does not leave its process, so pages hear of a change up to "
            f"{conf.live.HEAD_CHECK_S:g} s late.",
            hint=f"Set CHANNEL_LAYERS[{alias!r}] to {_PUBSUB}.",
            id="live.W001",
        )
    elif issubclass(backend, RedisChannelLayer):
        yield Warning(
            "The channel layer drops messages without a word above its capacity, and ends membership of a group after "
            "a day.",
            hint=f"Use {_PUBSUB}.",
            id="live.W002",
        )
        hosts = (config or {}).get("CONFIG", {}).get("hosts") or [{}]
        if redis.VERSION[0] >= 8 and any(_reads_too_shortly(host) for host in hosts):
            yield Error(
                "redis-py 8 gives up reading after 5 s and this channel layer waits 5 s, so every idle WebSocket "
                "that uses it is closed with 1011.",
                hint=f"Use {_PUBSUB}, or give each host a socket_timeout of {CORE_LAYER_TIMEOUT_S} or more.",
                id="live.E001",
            )


def _reads_too_shortly(host: Any) -> bool:
    options = host if isinstance(host, dict) else {"address": host} if isinstance(host, str) else {}
    asked = parse_qs(urlsplit(str(options.get("address", ""))).query).get("socket_timeout", [5])
    timeout_s = options.get("socket_timeout", asked[0])
    return timeout_s is not None and float(timeout_s) < CORE_LAYER_TIMEOUT_S


def check_django(**_: Any) -> Iterator[CheckMessage]:
    """What the web process needs."""
    middleware = list(settings.MIDDLEWARE)
    if _OWNER not in middleware or (_LOGIN in middleware and middleware.index(_OWNER) < middleware.index(_LOGIN)):
        yield Warning(
            "Runs that a view sends have no owner, so their users do not see them.",
            hint=f"Put {_OWNER!r} into MIDDLEWARE, after {_LOGIN!r}.",
            id="live.W003",
        )
    if not getattr(settings, "ASGI_APPLICATION", None):
        yield Warning(
            "ASGI_APPLICATION is not set, so no page can open a WebSocket.",
            hint="Set it to your ProtocolTypeRouter, with live.routing.websocket_urlpatterns under 'websocket'.",
            id="live.W004",
        )
    if not settings.USE_TZ:
        yield Error("Times of runs are aware, and USE_TZ is off.", hint="Set USE_TZ = True.", id="live.E002")
    bad = [origin for origin in conf.live.ALLOWED_ORIGINS if not _is_whole_origin(origin)]
    if bad:
        yield Error(
            f"LIVE_ALLOWED_ORIGINS holds {bad[0]!r}, which no browser sends.",
            hint="List origins in full: scheme, host, and the port if it is not the usual one (https://example.org).",
            id="live.E005",
        )


def _is_whole_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and origin == f"{parts.scheme}://{parts.netloc}"
        )
    except ValueError:
        return False


def check_database(**_: Any) -> Iterator[CheckMessage]:
    """Where the recorder writes while pages read."""
    config = _database_of("live", "Run")
    options = config.get("OPTIONS", {})
    if config["ENGINE"].endswith("sqlite3"):
        wal = "wal" in str(options.get("init_command", "")).lower().replace(" ", "").partition("journal_mode=")[2][:4]
        if not wal or str(options.get("transaction_mode", "")).upper() != "IMMEDIATE":
            yield Warning(
                "SQLite without WAL and IMMEDIATE transactions answers 'database is locked' under load, and writes "
                "half as fast.",
                hint='OPTIONS = {"transaction_mode": "IMMEDIATE", "timeout": 20, '
                '"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"}',
                id="live.W005",
            )
    elif getattr(settings, "ASGI_APPLICATION", None) and config.get("CONN_MAX_AGE") != 0:
        yield Warning(
            "Under ASGI a persistent database connection belongs to a thread that may never come back.",
            hint="Set CONN_MAX_AGE to 0, and use Django's pool option for PostgreSQL.",
            id="live.W006",
        )


def _database_of(app: str, model: str) -> dict[str, Any]:
    return connections[router.db_for_write(apps.get_model(app, model)) or "default"].settings_dict


def check_broker(**_: Any) -> Iterator[CheckMessage]:
    """What happens to messages when Redis or a worker dies."""
    app = celery.current_app
    if app.main in (None, "default"):
        yield Warning(
            "No Celery app of the project is loaded, so what Django sends goes to amqp://localhost.",
            hint="Import the Celery app in the __init__.py beside your settings, as Celery's manual says.",
            id="live.W007",
        )
        return
    unsafe = _UNSAFE & {*(app.conf.accept_content or ()), *(app.conf.result_accept_content or ())}
    if unsafe:
        yield Error(
            "Celery accepts pickle: whoever can write to the broker can run any code in a worker.",
            hint='CELERY_ACCEPT_CONTENT = ["json"]',
            id="live.E004",
        )
    if not _is_redis(app):
        return
    options = app.conf.broker_transport_options
    if not options.get("socket_timeout"):
        yield Warning(
            "With a Redis that takes connections but does not answer, delay() never returns.",
            hint='CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 1, "socket_connect_timeout": 1, …}',
            id="live.W008",
        )
    if app.conf.task_publish_retry and (app.conf.task_publish_retry_policy or {}).get("max_retries", 3) is None:
        yield Warning(
            "With the broker away, delay() retries for ever, and the request that called it hangs.",
            hint='CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 0, …}',
            id="live.W009",
        )
    if app.conf.worker_prefetch_multiplier != 1:
        yield Warning(
            "Messages that a killed worker had prefetched come back only after the visibility timeout, an hour by "
            f"default; here it prefetches {app.conf.worker_prefetch_multiplier or 'all'} per process.",
            hint="CELERY_WORKER_PREFETCH_MULTIPLIER = 1",
            id="live.W010",
        )


def check_time_limits(**_: Any) -> Iterator[CheckMessage]:
    """Redis hands a message out again when nobody has acknowledged it within the visibility timeout."""
    app = celery.current_app
    if not _is_redis(app):
        return
    # Not the loader's import_default_modules: Celery runs the system checks from there.
    app.autodiscover_tasks(force=True)
    visible_s = app.conf.broker_transport_options.get("visibility_timeout", 3600)
    for name, task in sorted(app.tasks.items()):
        if name.startswith("celery."):
            continue
        limit_s = task.time_limit or app.conf.task_time_limit
        if limit_s and limit_s + TIME_LIMIT_MARGIN_S >= visible_s:
            yield Error(
                f"The task {name} may take {limit_s:g} s and the visibility timeout is {visible_s:g} s, so a message "
                "that waits behind it, or its own if acknowledged late, is handed out twice.",
                hint=f"Keep time_limit + {TIME_LIMIT_MARGIN_S} below CELERY_BROKER_TRANSPORT_OPTIONS"
                '["visibility_timeout"].',
                id="live.E003",
            )
        elif not limit_s and task.acks_late:
            yield Warning(
                f"The task {name} is acknowledged late and may take for ever; after {visible_s:g} s it runs twice.",
                hint="Give it a time_limit.",
                id="live.W011",
            )


def check_results(**_: Any) -> Iterator[CheckMessage]:
    """django-celery-results, where it is used; what it stores is shown beside the run."""
    app = celery.current_app
    if not apps.is_installed("django_celery_results") or not app.conf.result_backend:
        return
    from django_celery_results.backends import DatabaseBackend

    backend = type(app.backend)
    if not issubclass(backend, DatabaseBackend):
        return
    if not (app.conf.result_extended and app.conf.task_track_started):
        yield Warning(
            "Stored results lack the task's name and arguments, or a run that has started.",
            hint="CELERY_RESULT_EXTENDED = True and CELERY_TASK_TRACK_STARTED = True",
            id="live.W012",
        )
    engine = _database_of("django_celery_results", "TaskResult")["ENGINE"]
    survives = backend.exception_safe_to_retry is not DatabaseBackend.exception_safe_to_retry
    if "postg" in engine and not (survives and app.conf.result_backend_always_retry):
        yield Warning(
            "When PostgreSQL restarts while a task runs, its success is stored as FAILURE, or not at all.",
            hint="Use a DatabaseBackend whose exception_safe_to_retry closes the connection and returns True for "
            "OperationalError and InterfaceError, with CELERY_RESULT_BACKEND_ALWAYS_RETRY = True.",
            id="live.W013",
        )


def check_beat(**_: Any) -> Iterator[CheckMessage]:
    """django-celery-beat, where it is used."""
    app = celery.current_app
    if not apps.is_installed("django_celery_beat") or app.conf.beat_sync_every == 1:
        return
    from django_celery_beat.schedulers import DatabaseScheduler

    scheduler = symbol_by_name(app.conf.beat_scheduler, {"django": "django_celery_beat.schedulers:DatabaseScheduler"})
    if isinstance(scheduler, type) and issubclass(scheduler, DatabaseScheduler):
        yield Warning(
            "A beat that is killed forgets what it sent in the last 3 minutes, and sends it again.",
            hint="CELERY_BEAT_SYNC_EVERY = 1",
            id="live.W014",
        )


def _is_redis(app: Any) -> bool:
    return urlsplit(str(app.conf.broker_write_url or app.conf.broker_url or "")).scheme in _REDIS_SCHEMES


def connect() -> None:
    """Register the checks with Django; called when the app is ready."""
    checks = (
        check_channel_layer,
        check_django,
        check_database,
        check_broker,
        check_time_limits,
        check_results,
        check_beat,
    )
    for check in checks:
        register(check, "live")
