"""What the tests of `live` stand on: a Redis of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.servers import OwnRedis


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
