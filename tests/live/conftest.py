"""What the tests of `live` stand on: a Redis and a publisher of a test's own, and workers for the session."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.databases import Databases
from tests.harness.stack import Stack, environment
from tests.live.servers import OwnRedis


@pytest.fixture(scope="module", autouse=True)
def empty_log(redis_url: str) -> None:
    """Each module begins with an empty log: some put into it what no reader could take."""
    from redis import Redis

    from live import publish

    publish.flush()
    with Redis.from_url(redis_url) as client:
        client.flushall()
    publish.publisher().forget_sent()


@pytest.fixture
def own_redis(tmp_path: Path, settings: Any) -> Iterator[OwnRedis]:
    """A Redis, with AOF as in use, that this test may kill; log and channel layer are on it."""
    server = OwnRedis(tmp_path / "redis")
    layer = settings.CHANNEL_LAYERS["default"]
    settings.LIVE_REDIS_URL = server.url
    settings.CHANNEL_LAYERS = {"default": {**layer, "CONFIG": {**layer["CONFIG"], "hosts": [server.url]}}}
    settings.LIVE_REDIS_TIMEOUT_S = 0.5
    yield server
    server.close()


@pytest.fixture(scope="module")
def worker(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A worker with processes, which takes the queue `unit`; it ends with the module, as it writes the log."""
    from tests.live.workers import start_worker

    started = start_worker(redis_url, tmp_path_factory.mktemp("worker"), "prefork", "unit")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def thread_worker(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A worker with a pool of threads, which takes the queue `unit-threads`."""
    from tests.live.workers import start_worker

    started = start_worker(redis_url, tmp_path_factory.mktemp("thread-worker"), "threads", "unit-threads")
    yield started
    started.stop()


@pytest.fixture
def publisher() -> Iterator[Any]:
    """A publisher whose thread ends with this test."""
    from tests.live.publishers import OwnPublisher

    publisher = OwnPublisher()
    yield publisher
    publisher.close()


@pytest.fixture
def announce(redis: Any) -> Iterator[Any]:
    """Say rows to this process's Redis, whose log is empty when the test begins."""
    from tests.live.readers import Announcer

    with Announcer() as announcer:
        yield announcer


@pytest.fixture
async def hub(announce: Any, transactional_db: None, settings: Any) -> AsyncIterator[Any]:
    """A hub that follows the log, without a recorder beside it."""
    from live.hub import Hub
    from tests.live.readers import leave_layer, until_listening

    settings.LIVE_EMBED_RECORDER = False
    hub = Hub()
    hub.start()
    await until_listening(hub.follower)
    yield hub
    await hub.stop()
    await leave_layer()


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Fresh databases, migrated once."""
    found = Databases(tmp_path_factory.mktemp("databases"), environment())
    yield found
    found.close()


@pytest.fixture(scope="module")
def make_stack(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    """Make stacks: `make_stack("web", LIVE_BEAT_S=1)`. They end with the module."""
    made: list[Stack] = []

    def make(*names: str, **settings: Any) -> Stack:
        made.append(Stack(tmp_path_factory.mktemp("stack"), databases.fresh(), **settings))
        return made[-1].start(*names)

    yield make
    for stack in made:
        stack.close()


@pytest.fixture
def log(redis: Any) -> Iterator[Any]:
    """The log of this process's Redis."""
    from live import stream

    log = stream.Log()
    log.look_for_life()
    yield log
    log.close()


@pytest.fixture
def make_recorder(redis: Any) -> Iterator[Callable[[], Any]]:
    """Make recorders that have seen nothing yet, on this process's Redis."""
    from live.recorder import Recorder

    made: list[Recorder] = []

    def make() -> Recorder:
        made.append(Recorder())
        return made[-1]

    yield make
    for recorder in made:
        recorder.log.close()


@pytest.fixture
def recorder(make_recorder: Callable[[], Any]) -> Any:
    """A recorder that has seen nothing yet."""
    return make_recorder()
