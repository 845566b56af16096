"""Settings from the environment: safe if nothing is said, and refused where nothing safe can be guessed."""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.harness.need import ROOT

Load = Callable[..., dict[str, Any]]
KEY = "k" * 50


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Read the settings anew, in an environment with these variables only."""
    kept = dict(os.environ)

    def read(**env: str) -> dict[str, Any]:
        os.environ.clear()
        os.environ.update(TAT_VAR_DIR=str(tmp_path), PATH=kept["PATH"], **env)
        return runpy.run_path(str(ROOT / "tat" / "settings.py"))

    yield read
    os.environ.clear()
    os.environ.update(kept)


def test_without_a_key_there_is_no_start(load: Load) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^SECRET_KEY is not set: set it to"):
        load()


def test_on_ones_own_machine_no_key_is_needed(load: Load) -> None:
    assert len(load(DEBUG="1")["SECRET_KEY"]) >= 50


@pytest.mark.parametrize("key", [KEY, "$" + KEY, "#a b='\"=" + KEY])
def test_a_key_is_taken_as_it_is(load: Load, key: str) -> None:
    assert load(SECRET_KEY=key)["SECRET_KEY"] == key


def test_if_nothing_is_said_all_is_safe(load: Load) -> None:
    found = load(SECRET_KEY=KEY)

    assert found["DEBUG"] is False
    assert found["ALLOWED_HOSTS"] == []
    assert found["SESSION_COOKIE_SECURE"] and found["CSRF_COOKIE_SECURE"] and found["SECURE_SSL_REDIRECT"]
    assert found["SECURE_HSTS_SECONDS"] > 0
    assert found["SECURE_PROXY_SSL_HEADER"] is None


def test_debug_answers_to_this_machine_only(load: Load) -> None:
    found = load(DEBUG="1")

    assert found["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert not found["SESSION_COOKIE_SECURE"]


def test_lists_are_read_from_the_environment(load: Load) -> None:
    found = load(SECRET_KEY=KEY, ALLOWED_HOSTS="a.example,b.example", LIVE_ALLOWED_ORIGINS="https://a.example")

    assert found["ALLOWED_HOSTS"] == ["a.example", "b.example"]
    assert found["LIVE_ALLOWED_ORIGINS"] == ["https://a.example"]


def test_what_run_started_with_is_found_by_a_second_terminal(load: Load, tmp_path: Path) -> None:
    (tmp_path / "run.env").write_text(f"DEBUG=1\nSECRET_KEY={KEY}\nREDIS_URL=redis://127.0.0.1:7777/0\n")

    found = load()

    assert (found["SECRET_KEY"], found["REDIS_URL"], found["DEBUG"]) == (KEY, "redis://127.0.0.1:7777/0", True)


def test_what_the_second_terminal_says_itself_counts_more(load: Load, tmp_path: Path) -> None:
    (tmp_path / "run.env").write_text("REDIS_URL=redis://127.0.0.1:7777/0\n")

    assert load(SECRET_KEY=KEY, REDIS_URL="redis://other:1/0")["REDIS_URL"] == "redis://other:1/0"


def test_one_redis_feeds_broker_layer_and_log_under_names_of_their_own(load: Load) -> None:
    url = "redis://:secret@redis.example:6380/3"

    found = load(SECRET_KEY=KEY, REDIS_URL=url)

    layer = found["CHANNEL_LAYERS"]["default"]
    assert found["CELERY_BROKER_URL"] == found["LIVE_REDIS_URL"] == layer["CONFIG"]["hosts"][0] == url
    assert layer["BACKEND"] == "channels_redis.pubsub.RedisPubSubChannelLayer"
    prefixes = {
        found["CELERY_BROKER_TRANSPORT_OPTIONS"]["global_keyprefix"],
        found["LIVE_KEY_PREFIX"],
        layer["CONFIG"]["prefix"],
    }
    assert len(prefixes) == 3
    assert not any(one != other and other.startswith(one) for one in prefixes for other in prefixes)


def test_sqlite_is_the_default_and_set_up_for_many_writers(load: Load, tmp_path: Path) -> None:
    database = load(SECRET_KEY=KEY)["DATABASES"]["default"]

    assert database["NAME"] == str(tmp_path / "db.sqlite3")
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert database["OPTIONS"]["timeout"] >= 10
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgresql_comes_by_its_address(load: Load, scheme: str) -> None:
    database = load(SECRET_KEY=KEY, DATABASE_URL=f"{scheme}://user:p%40ss@db.example:5433/tat")["DATABASES"]["default"]

    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["USER"], database["PASSWORD"], database["HOST"]) == ("user", "p@ss", "db.example")
    assert (database["PORT"], database["NAME"], database["CONN_HEALTH_CHECKS"]) == (5433, "tat", True)
    assert not database.get("CONN_MAX_AGE")


def test_under_asgi_postgresql_gets_a_pool(load: Load) -> None:
    url = "postgres://user@db.example/tat"

    database = load(SECRET_KEY=KEY, DATABASE_URL=url, DATABASE_POOL="1")["DATABASES"]["default"]

    assert 1 <= database["OPTIONS"]["pool"]["max_size"] <= 50


def test_tasks_and_results_are_json_and_never_pickle(load: Load) -> None:
    found = load(SECRET_KEY=KEY)

    assert found["CELERY_TASK_SERIALIZER"] == found["CELERY_RESULT_SERIALIZER"] == "json"
    assert found["CELERY_ACCEPT_CONTENT"] == found["CELERY_RESULT_ACCEPT_CONTENT"] == ["json"]


def test_a_task_that_overruns_ends_before_its_message_comes_again(load: Load) -> None:
    found = load(SECRET_KEY=KEY)

    limit_s, visible_after_s = (
        found["CELERY_TASK_TIME_LIMIT"],
        found["CELERY_BROKER_TRANSPORT_OPTIONS"]["visibility_timeout"],
    )
    assert found["CELERY_TASK_SOFT_TIME_LIMIT"] < limit_s < visible_after_s - 60


def test_the_owner_of_a_run_is_asked_for_after_the_login_is_known(load: Load) -> None:
    middleware = load(SECRET_KEY=KEY)["MIDDLEWARE"]

    login = middleware.index("django.contrib.auth.middleware.AuthenticationMiddleware")
    assert middleware.index("live.middleware.OwnerMiddleware") > login
