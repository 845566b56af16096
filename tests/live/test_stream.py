"""The log in Redis: numbered without holes, in epochs that follow the server's lives, never waited for without end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

import pytest
from redis import ResponseError

from live import conf, stream
from tests.live.servers import OwnRedis

EMPTY = b"[]"
T = TypeVar("T")


@pytest.fixture
def make_log() -> Iterator[Callable[[], stream.Log]]:
    """Make a log for one writer or reader; each is closed at the end."""
    logs: list[stream.Log] = []

    def make() -> stream.Log:
        logs.append(stream.Log())
        return logs[-1]

    yield make
    for log in logs:
        log.close()


@pytest.fixture
def log(redis: Any, make_log: Callable[[], stream.Log]) -> stream.Log:
    """An empty log."""
    return make_log()


@pytest.fixture
async def async_log() -> AsyncIterator[stream.AsyncLog]:
    """The log as a hub reads it."""
    log = stream.AsyncLog()
    yield log
    await log.close()


def append_on(log: stream.Log, rows: bytes = EMPTY) -> int:
    """Append as a writer does: after another life began, once more."""
    try:
        return log.append(rows)
    except stream.EpochChanged:
        return log.append(rows)


def test_entries_are_numbered_from_one(log: stream.Log) -> None:
    assert [log.append(EMPTY) for _ in range(3)] == [1, 2, 3]


def test_two_writers_number_without_holes(log: stream.Log, make_log: Callable[[], stream.Log]) -> None:
    def write() -> None:
        writer = make_log()
        for _ in range(200):
            writer.append(EMPTY)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [entry.seq for entry in log.read(0, 1_000)] == list(range(1, 401))


def test_what_was_appended_is_read_after_a_seq(log: stream.Log) -> None:
    for rows in (b"one", b"two", b"three"):
        log.append(rows)

    assert log.read(1, 10) == [stream.Entry(2, b"two"), stream.Entry(3, b"three")]
    assert log.read(0, 1) == [stream.Entry(1, b"one")]
    assert log.read(3, 10) == []


def test_a_reader_waits_for_the_first_entry_as_long_as_it_says(log: stream.Log) -> None:
    begun = time.monotonic()

    entries = log.read(0, 10, block_ms=100)

    assert entries == []
    assert 0.08 < time.monotonic() - begun < 1.5


def test_a_waiting_reader_is_woken_by_an_entry(log: stream.Log, make_log: Callable[[], stream.Log]) -> None:
    writer = make_log()
    timer = threading.Timer(0.1, writer.append, [b"news"])
    timer.start()

    entries = log.read(0, 10, block_ms=1_500)

    assert entries == [stream.Entry(1, b"news")]
    timer.join(5)


def test_the_head_of_an_empty_log_is_zero(log: stream.Log) -> None:
    head = log.head()

    assert head.seq == 0
    assert head.epoch


def test_everybody_sees_the_same_epoch(log: stream.Log, make_log: Callable[[], stream.Log]) -> None:
    log.append(EMPTY)

    assert make_log().head() == log.head() == stream.Head(log.epoch, 1)


async def test_a_hub_sees_the_same_log(log: stream.Log, async_log: stream.AsyncLog) -> None:
    for rows in (b"one", b"two", b"three"):
        await asyncio.to_thread(log.append, rows)

    assert await async_log.head() == stream.Head(log.epoch, 3)
    assert await async_log.read(1, 1) == [stream.Entry(2, b"two")]
    assert await async_log.read(3, 1) == []


async def test_to_learn_the_head_costs_little_however_large_the_last_entry_is(
    log: stream.Log, async_log: stream.AsyncLog, redis: Any
) -> None:
    def sent() -> int:
        return int(redis.info("stats")["total_net_output_bytes"])

    log.append(b"x" * 1_000_000)
    before = sent()

    assert await asyncio.to_thread(log.head) == await async_log.head() == stream.Head(log.epoch, 1)
    assert sent() - before < 100_000


async def test_the_head_of_a_log_that_was_emptied_stays_where_it_was(
    log: stream.Log, async_log: stream.AsyncLog, redis: Any
) -> None:
    for _ in range(3):
        log.append(EMPTY)

    redis.xtrim(stream.key("log"), maxlen=0, approximate=False)

    assert log.head() == await async_log.head() == stream.Head(log.epoch, 3)
    assert log.append(EMPTY) == 4


def test_recorded_entries_are_dropped_and_the_numbers_go_on(log: stream.Log, settings: Any) -> None:
    for _ in range(1_000):
        log.append(EMPTY)

    log.trim(900)

    first = log.read(0, 1)[0].seq
    assert 700 < first <= 900
    assert log.append(EMPTY) == 1_001


def test_the_log_is_bounded_even_if_nobody_records(log: stream.Log, settings: Any) -> None:
    settings.LIVE_LOG_MAX_ENTRIES = 100

    for _ in range(1_000):
        log.append(EMPTY)

    assert len(log.read(0, 2_000)) < 400


def test_a_restarted_server_begins_another_epoch_and_the_numbers_go_on(
    own_redis: OwnRedis, make_log: Callable[[], stream.Log]
) -> None:
    writer, reader = make_log(), make_log()
    writer.append(b"before")
    epoch = reader.head().epoch

    own_redis.kill()
    own_redis.restart()

    with pytest.raises(stream.EpochChanged):
        second_try(lambda: writer.append(b"after"))
    assert writer.append(b"after") > 1
    assert second_try(reader.head).epoch == writer.epoch != epoch
    assert reader.read(0, 1)[0].rows == b"before"


def second_try(call: Callable[[], T]) -> T:
    """Call again if the first try finds the old connection broken; the client may notice that by itself."""
    try:
        return call()
    except stream.Unavailable:
        return call()


def test_a_server_that_restarts_between_two_commands_is_noticed(
    own_redis: OwnRedis, make_log: Callable[[], stream.Log]
) -> None:
    writer = make_log()
    writer.append(b"before")
    writer.redis.connection_pool.disconnect()

    own_redis.kill()
    own_redis.restart()

    with pytest.raises(stream.EpochChanged):
        writer.append(b"after")


async def test_a_restarted_server_is_another_epoch_for_a_hub_too(own_redis: OwnRedis) -> None:
    log = stream.AsyncLog()
    before = await log.head()

    await asyncio.to_thread(own_redis.kill)
    await asyncio.to_thread(own_redis.restart)

    try:
        after = await log.head()
    except stream.Unavailable:
        after = await log.head()
    assert after.epoch not in ("", before.epoch)
    await log.close()


def test_a_flushed_redis_begins_another_epoch(log: stream.Log, redis: Any) -> None:
    log.append(EMPTY)
    epoch = log.epoch

    redis.flushall()

    with pytest.raises(stream.EpochChanged):
        log.append(EMPTY)
    assert log.append(EMPTY) == 1
    assert log.epoch != epoch


def test_a_writer_that_slept_through_another_life_is_told(log: stream.Log, make_log: Callable[[], stream.Log]) -> None:
    log.append(EMPTY)
    log.redis.delete(stream.key("epoch"))
    other = make_log()
    assert append_on(other) == 2

    with pytest.raises(stream.EpochChanged):
        log.append(EMPTY)

    assert log.append(EMPTY) == 3
    assert log.epoch == other.epoch


@pytest.mark.parametrize("broken", ["info", "_begin"])
def test_a_writer_whose_look_at_another_life_failed_is_told_later(
    log: stream.Log, redis: Any, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise ResponseError("OOM command not allowed")

    log.append(EMPTY)
    log.redis.connection_pool.disconnect()
    redis.hset(stream.key("epoch"), "life", "one that is over")
    with monkeypatch.context() as patched, pytest.raises(ResponseError):
        patched.setattr(log if broken == "_begin" else log.redis, broken, refuse)
        log.append(EMPTY)

    with pytest.raises(stream.EpochChanged):
        log.append(EMPTY)


def test_a_writer_that_begins_is_not_told_of_lives_before(log: stream.Log, make_log: Callable[[], stream.Log]) -> None:
    log.append(EMPTY)

    assert make_log().append(EMPTY) == 2


@pytest.mark.parametrize("version", ["6.2.14", "6.0", "5.0.14"])
def test_an_old_redis_is_refused_with_a_sentence(
    log: stream.Log, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(log.redis, "info", lambda section: {"redis_version": version, "run_id": "x"})

    with pytest.raises(stream.RedisTooOld, match=rf"Redis 7 or newer, or Valkey; redis://.* is Redis {version}\."):
        log.append(EMPTY)


@pytest.mark.parametrize(
    "info",
    [{"redis_version": "7.0.0"}, {"redis_version": "8.2"}, {"redis_version": "7.2.4", "valkey_version": "9.1.2"}],
    ids=str,
)
def test_a_new_enough_server_is_taken(log: stream.Log, monkeypatch: pytest.MonkeyPatch, info: dict[str, str]) -> None:
    monkeypatch.setattr(log.redis, "info", lambda section: {**info, "run_id": "x"})

    assert log.append(EMPTY) == 1


@pytest.mark.parametrize("command", ["append", "head", "read", "beat", "heartbeats", "sign_off"])
def test_a_redis_that_does_not_answer_is_given_up_in_time(
    own_redis: OwnRedis, make_log: Callable[[], stream.Log], command: str
) -> None:
    log = make_log()
    log.append(EMPTY)
    calls: dict[str, Callable[[], object]] = {
        "append": lambda: log.append(EMPTY),
        "head": log.head,
        "read": lambda: log.read(0, 1, block_ms=100),
        "beat": lambda: log.beat("w", 1),
        "heartbeats": log.heartbeats,
        "sign_off": lambda: log.sign_off("w"),
    }
    own_redis.freeze()
    begun = time.monotonic()

    with pytest.raises(stream.Unavailable):
        calls[command]()

    assert time.monotonic() - begun < 5 * conf.live.REDIS_TIMEOUT_S


async def test_a_hub_gives_up_in_time_as_well(own_redis: OwnRedis) -> None:
    log = stream.AsyncLog()
    await log.head()
    own_redis.freeze()
    begun = time.monotonic()

    with pytest.raises(stream.Unavailable):
        await log.head()

    assert time.monotonic() - begun < 5 * conf.live.REDIS_TIMEOUT_S
    own_redis.thaw()
    await log.close()


def test_a_redis_that_is_gone_is_given_up_at_once(own_redis: OwnRedis, make_log: Callable[[], stream.Log]) -> None:
    own_redis.kill()
    begun = time.monotonic()

    with pytest.raises(stream.Unavailable):
        make_log().append(EMPTY)

    assert time.monotonic() - begun < 2


def test_a_worker_gives_signs_of_life_until_it_signs_off(log: stream.Log) -> None:
    log.beat("celery@here", 123)
    log.beat("celery@there", 456)

    beats = log.heartbeats()
    log.sign_off("celery@here")

    assert {name: beat.boot for name, beat in beats.items()} == {"celery@here": 123, "celery@there": 456}
    assert all(0 <= beat.age_s <= 1 for beat in beats.values())
    assert list(log.heartbeats()) == ["celery@there"]


def test_a_workers_age_grows_by_the_clock_of_redis(log: stream.Log, redis: Any) -> None:
    now, _ = redis.time()
    redis.hset(stream.key("workers"), "celery@silent", f"123 {now - 30}")

    assert 30 <= log.heartbeats()["celery@silent"].age_s <= 31


def test_a_worker_that_was_silent_for_days_is_forgotten(log: stream.Log, redis: Any) -> None:
    now, _ = redis.time()
    redis.hset(stream.key("workers"), "celery@gone", f"123 {now - 100_000}")

    assert log.heartbeats() == {}
    assert redis.hlen(stream.key("workers")) == 0


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("redis://one:1/0", "redis://one:1/0"),
        ({"address": "rediss://two:2/0", "db": 1}, "rediss://two:2/0"),
        (("three", 3), "redis://three:3"),
        ({"sentinels": [("four", 4)]}, "redis://broker:5/0"),
    ],
    ids=str,
)
def test_the_logs_redis_is_the_channel_layers_if_not_said_otherwise(settings: Any, host: Any, url: str) -> None:
    from celery import current_app

    settings.LIVE_REDIS_URL = ""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "x", "CONFIG": {"hosts": [host]}}}
    current_app.conf.broker_url, broker = "redis://broker:5/0", current_app.conf.broker_url

    try:
        assert stream.redis_url() == url
    finally:
        current_app.conf.broker_url = broker
