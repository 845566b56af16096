"""Each check: the project's own settings pass, and the one setting broken gives exactly its id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from django.core.checks import run_checks
from django.db import connection

from live import checks
from tat.celery import app as tats_app

CORE_LAYER = "channels_redis.core.RedisChannelLayer"
MakeApp = Callable[..., Celery]


def ids() -> list[str]:
    """Return what the checks of `live` say, by id."""
    return sorted(str(found.id) for found in run_checks(tags=["live"]))


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """Make another Celery app with tat's settings and some broken ones, and have it be the current one."""

    def make(name: str = "shop", **broken: Any) -> Celery:
        app = Celery(name, set_as_current=False)
        app.config_from_object("django.conf:settings", namespace="CELERY")
        app.conf.update(broken)
        app.set_current()
        return app

    yield make
    tats_app.set_current()


@pytest.fixture
def on_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the checks take the database for PostgreSQL; they look at its settings only."""
    monkeypatch.setitem(connection.settings_dict, "ENGINE", "django.db.backends.postgresql")
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)


def layer(backend: str, *hosts: Any) -> dict[str, Any]:
    """Return CHANNEL_LAYERS with one layer."""
    return {"default": {"BACKEND": backend, "CONFIG": {"hosts": list(hosts)} if hosts else {}}}


def test_the_projects_own_settings_pass() -> None:
    assert ids() == []


def test_another_project_with_the_same_settings_passes(make_app: MakeApp) -> None:
    make_app()

    assert ids() == []


def test_a_layer_in_memory_does_not_carry_news_between_processes(settings: Any) -> None:
    settings.CHANNEL_LAYERS = layer("channels.layers.InMemoryChannelLayer")
    assert ids() == ["live.W001"]

    settings.CHANNEL_LAYERS = {}
    assert ids() == ["live.W001"]


@pytest.mark.parametrize(
    "host",
    [
        "redis://127.0.0.1/0",
        ("127.0.0.1", 6379),
        {"address": "redis://127.0.0.1/0", "socket_timeout": 5},
        "redis://127.0.0.1/0?socket_timeout=14",
    ],
)
def test_the_core_layer_with_a_short_timeout_loses_idle_sockets(settings: Any, host: Any) -> None:
    settings.CHANNEL_LAYERS = layer(CORE_LAYER, host)

    assert ids() == ["live.E001", "live.W002"]


@pytest.mark.parametrize(
    "host",
    [
        {"address": "redis://127.0.0.1/0", "socket_timeout": 15},
        {"address": "redis://127.0.0.1/0", "socket_timeout": None},
        "redis://127.0.0.1/0?socket_timeout=15.5",
    ],
)
def test_the_core_layer_with_a_long_timeout_still_drops_messages(settings: Any, host: Any) -> None:
    settings.CHANNEL_LAYERS = layer(CORE_LAYER, host)

    assert ids() == ["live.W002"]


def test_an_older_redis_py_has_no_timeout_to_mind(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.redis, "VERSION", (7, 4, 0))
    settings.CHANNEL_LAYERS = layer(CORE_LAYER, "redis://127.0.0.1/0")

    assert ids() == ["live.W002"]


def test_the_owners_middleware_comes_after_the_login(settings: Any) -> None:
    owner = "live.middleware.OwnerMiddleware"
    others = [name for name in settings.MIDDLEWARE if name != owner]
    settings.MIDDLEWARE = others
    assert ids() == ["live.W003"]

    settings.MIDDLEWARE = [owner, *others]
    assert ids() == ["live.W003"]


def test_without_an_asgi_application_there_are_no_sockets(settings: Any) -> None:
    settings.ASGI_APPLICATION = None

    assert ids() == ["live.W004"]


def test_times_are_aware(settings: Any) -> None:
    settings.USE_TZ = False

    assert ids() == ["live.E002"]


@pytest.mark.parametrize("origin", ["example.org", "https://example.org/", "*", "ftp://example.org", "http://["])
def test_an_origin_is_given_in_full(settings: Any, origin: str) -> None:
    settings.LIVE_ALLOWED_ORIGINS = ["https://example.org", "http://localhost:8000", origin]

    assert ids() == ["live.E005"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"transaction_mode": "IMMEDIATE"},
        {"init_command": "PRAGMA journal_mode=WAL;"},
        {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode = DELETE;"},
    ],
)
def test_sqlite_has_wal_and_immediate_transactions(monkeypatch: pytest.MonkeyPatch, options: dict[str, str]) -> None:
    monkeypatch.setitem(connection.settings_dict, "ENGINE", "django.db.backends.sqlite3")
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)

    assert ids() == ["live.W005"]


@pytest.mark.parametrize("seconds", [60, None])
def test_no_persistent_connections_under_asgi(
    on_postgresql: None, monkeypatch: pytest.MonkeyPatch, settings: Any, seconds: int | None
) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", seconds)
    assert ids() == ["live.W006"]

    settings.ASGI_APPLICATION = None
    assert ids() == ["live.W004"]


def test_a_project_without_a_celery_app_is_told_so(make_app: MakeApp) -> None:
    make_app("default")

    assert "live.W007" in ids()


@pytest.mark.parametrize("name", ["accept_content", "result_accept_content"])
def test_pickle_is_refused(make_app: MakeApp, name: str) -> None:
    make_app(**{name: ["json", "pickle"]})

    assert ids() == ["live.E004"]


def test_a_broker_that_does_not_answer_is_given_up(make_app: MakeApp) -> None:
    make_app(broker_transport_options={"visibility_timeout": 900})

    assert ids() == ["live.W008"]


def test_publishing_is_not_retried_for_ever(make_app: MakeApp) -> None:
    make_app(task_publish_retry_policy={"max_retries": None})
    assert ids() == ["live.W009"]

    make_app(task_publish_retry_policy={"max_retries": None}, task_publish_retry=False)
    assert ids() == []


@pytest.mark.parametrize("multiplier", [4, 0])
def test_little_is_prefetched(make_app: MakeApp, multiplier: int) -> None:
    make_app(worker_prefetch_multiplier=multiplier)

    assert ids() == ["live.W010"]


def test_a_task_ends_before_its_message_is_handed_out_again(make_app: MakeApp) -> None:
    app = make_app()

    @app.task(name="shop.at_the_limit", shared=False, time_limit=840)
    def at_the_limit() -> None: ...

    assert ids() == ["live.E003"]
    at_the_limit.time_limit = 839
    assert ids() == []


def test_the_limit_of_all_tasks_counts_for_each_without_its_own(make_app: MakeApp) -> None:
    app = make_app(task_time_limit=3_000)

    @app.task(name="shop.short", shared=False, time_limit=10)
    def short() -> None: ...

    found = run_checks(tags=["live"])

    assert {one.id for one in found} == {"live.E003"}
    assert any("sum_two_numbers" in one.msg for one in found)
    assert not any("shop.short" in one.msg for one in found)


def test_a_late_acknowledged_task_has_a_limit(make_app: MakeApp) -> None:
    app = make_app(task_time_limit=None)

    @app.task(name="shop.endless", shared=False, acks_late=True)
    def endless() -> None: ...

    said = [one.msg for one in run_checks(tags=["live"]) if one.id == "live.W011"]

    assert any("shop.endless" in message for message in said)


def test_another_broker_has_no_visibility_timeout(make_app: MakeApp) -> None:
    make_app(broker_url="amqp://localhost//", task_time_limit=100_000, worker_prefetch_multiplier=4)

    assert ids() == []


@pytest.mark.parametrize("name", ["result_extended", "task_track_started"])
def test_results_are_stored_whole(make_app: MakeApp, name: str) -> None:
    make_app(**{name: False})

    assert ids() == ["live.W012"]


def test_results_survive_a_restart_of_postgresql(on_postgresql: None, make_app: MakeApp) -> None:
    make_app()
    assert ids() == []

    make_app(result_backend="django-db")
    assert ids() == ["live.W013"]

    make_app(result_backend_always_retry=False)
    assert ids() == ["live.W013"]


def test_the_stock_result_backend_is_well_on_sqlite(monkeypatch: pytest.MonkeyPatch, make_app: MakeApp) -> None:
    engine = connection.settings_dict["ENGINE"]
    make_app(result_backend="django-db")

    assert ids() == (["live.W013"] if "postg" in engine else [])


@pytest.mark.parametrize("scheduler", ["django", "django_celery_beat.schedulers:DatabaseScheduler"])
def test_beat_remembers_each_run_at_once(make_app: MakeApp, scheduler: str) -> None:
    make_app(beat_sync_every=0, beat_scheduler=scheduler)

    assert ids() == ["live.W014"]


def test_beat_with_a_file_is_its_own_affair(make_app: MakeApp) -> None:
    make_app(beat_sync_every=0, beat_scheduler="celery.beat:PersistentScheduler")

    assert ids() == []


def test_every_message_says_what_to_do(settings: Any) -> None:
    settings.CHANNEL_LAYERS = layer(CORE_LAYER, "redis://127.0.0.1/0")
    settings.MIDDLEWARE, settings.ASGI_APPLICATION = [], None

    for found in run_checks(tags=["live"]):
        assert found.hint
