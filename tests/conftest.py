"""What every test stands on: a Redis of its own, a database of its own, users, and runs in each state.

Settings are read when Django is first set up, so the environment is made here before that happens, and pytest's ini
file must not name DJANGO_SETTINGS_MODULE: pytest-django would read the settings, and a running tat's files, before us.
"""

from __future__ import annotations

import datetime
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from scripts import redis_server

# Other tests run beside them, so how long an example takes says nothing.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
if not os.environ.get("CI"):
    hypothesis.settings.load_profile("busy")

_redis: redis_server.RunningRedis | None = None
_directory: tempfile.TemporaryDirectory[str] | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start this process's Redis and point the settings at it. The process that only deals out tests needs none."""
    global _redis, _directory
    deals_out = config.getoption("numprocesses", None) and not hasattr(config, "workerinput")
    if deals_out or config.getoption("help") or config.getoption("version"):
        return
    from django.conf import settings

    if settings.configured:
        raise pytest.UsageError("Unset DJANGO_SETTINGS_MODULE: the tests set up Django by themselves.")
    _directory = tempfile.TemporaryDirectory(prefix="tat-tests-")
    (Path(_directory.name) / "static").mkdir()  # WhiteNoise warns without it, and warnings are errors
    _redis = redis_server.start(Path(_directory.name) / "redis", aof=False)
    for name in list(os.environ):
        if name.startswith(("LIVE_", "CELERY_", "ALLOWED_HOSTS", "CSRF_")):
            del os.environ[name]
    if not os.environ.get("DATABASE_URL", "").startswith(("postgres", "psql")):
        os.environ.pop("DATABASE_URL", None)  # somebody's SQLite file is not ours
    os.environ.update(
        DJANGO_SETTINGS_MODULE="tat.settings",
        TAT_VAR_DIR=_directory.name,
        REDIS_URL=_redis.url,
        DEBUG="1",
        LIVE_EMBED_RECORDER="0",
        SECRET_KEY="for-the-tests-only-" + "x" * 40,
        DJANGO_ALLOW_ASYNC_UNSAFE="",
    )
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        # A file, as in use: SQLite in memory has no WAL, and its threads would share one lock.
        database["TEST"] = {**database.get("TEST", {}), "NAME": str(Path(_directory.name) / "test.sqlite3")}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_unconfigure() -> None:
    """Stop this process's Redis."""
    if _redis is not None:
        _redis.stop()
    if _directory is not None:
        _directory.cleanup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that start processes: a long one that comes last would be waited for alone."""
    items.sort(key=lambda item: not {"journeys", "launch", "foreign"} & set(item.path.parts))


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The address of this process's Redis, which the settings hold too."""
    assert _redis is not None
    return _redis.url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Any]:
    """A client of this process's Redis, which is empty when the test begins."""
    from redis import Redis

    from live import publish

    publish.flush()
    with Redis.from_url(redis_url) as client:
        client.flushall()
        # What earlier tests announced is not to be said again into the log of this one.
        publish.publisher().forget_sent()
        yield client


@pytest.fixture(autouse=True)
def _in_the_language_of_the_settings() -> Iterator[None]:
    """Forget the language of the last request: Django leaves it to the thread, and so to the next test."""
    yield
    from django.utils import translation

    translation.deactivate()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """At the end cut what processes that tests killed still hold open: PostgreSQL drops no database in use."""
    from django.db import connection

    yield
    with django_db_blocker.unblock():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )


@pytest.fixture
def clerk(db: None) -> Any:
    """A user who sees own runs only."""
    from django.contrib.auth import get_user_model

    return get_user_model().objects.create_user("clerk", password="clerk")


@pytest.fixture
def other_clerk(db: None) -> Any:
    """Another user who sees own runs only."""
    from django.contrib.auth import get_user_model

    return get_user_model().objects.create_user("other-clerk", password="other-clerk")


@pytest.fixture
def operator(db: None) -> Any:
    """A user, not staff, who may see the runs of everybody."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Permission

    user = get_user_model().objects.create_user("operator", password="operator")
    user.user_permissions.add(Permission.objects.get(codename="view_all_runs"))
    return user


@pytest.fixture
def make_run(db: None) -> Callable[..., Any]:
    """Store a run in a state, owned by `clerk` unless said otherwise: `make_run("failed", task="…")`."""
    from live import events, models

    made = 0

    def make(state: str = "queued", **fields: Any) -> models.Run:
        nonlocal made
        made += 1
        now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=10) + datetime.timedelta(seconds=made)
        started = state not in ("queued", "received", "cancelled")
        values = {
            "id": f"run-{made:04}",
            "task": "billing.import_charges",
            "owner": "clerk",
            "kind": events.Kind.AD_HOC,
            "queue": "celery",
            "worker": "celery@here" if state != "queued" else "",
            "args": "[1]",
            "kwargs": "{}",
            "queued_at": now,
            "received_at": now if state != "queued" else None,
            "started_at": now if started else None,
            "finished_at": now + datetime.timedelta(seconds=1) if state in events.ENDED else None,
            "result": "3" if state == "succeeded" else None,
            "error": {"type": "ValueError", "message": "no such charge", "traceback": "Traceback …"}
            if state in ("failed", "retrying")
            else None,
            "version_attempt": 1,
            "version_phase": int(started),
            "version_moment": int(now.timestamp() * 1_000_000),
        }
        return models.Run.objects.create(state=state, **{**values, **fields})

    return make


@pytest.fixture
def queued_run(make_run: Callable[..., Any]) -> Any:
    """A run of the clerk's that waits for a worker."""
    return make_run("queued")


@pytest.fixture
def running_run(make_run: Callable[..., Any]) -> Any:
    """A run of the clerk's at 3 of 10 rows."""
    progress = {"current": 3, "total": 10, "unit": "rows", "message": "reading", "at": 1}
    return make_run("running", progress=progress)


@pytest.fixture
def succeeded_run(make_run: Callable[..., Any]) -> Any:
    """A run of the clerk's that has ended well."""
    return make_run("succeeded")


@pytest.fixture
def failed_run(make_run: Callable[..., Any]) -> Any:
    """A run of the clerk's that has failed."""
    return make_run("failed")
