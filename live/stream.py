"""The log in Redis: append, read, head, trim, epoch; and the heartbeats of workers beside it.

A stream whose ids are `0-1, 0-2, …`: the server numbers entries without holes (`XADD key 0-*`, Redis 7 or Valkey).
An epoch is bound to one life of the server: a Redis that restarted may have lost its last second even with AOF, and
would number other entries alike. So whoever first talks to a new life names a new epoch, the stream goes on, and every
reader starts again at its first entry; rows merge by version, so nothing is doubled.
"""

from __future__ import annotations

import re
import secrets
from typing import Any, NamedTuple

import msgspec
import redis
import redis.asyncio
from celery import current_app
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from live import conf

#: What a dead, slow or refusing Redis raises; a caller keeps what it has and tries again.
Unavailable = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ReadOnlyError, OSError)

OLDEST_REDIS = 7

#: A worker that was silent for so long will not come back under its name, which may have been a container's.
_FORGET_WORKER_S = 86_400

_APPEND = """
if redis.call('HGET', KEYS[2], 'id') ~= ARGV[1] then return false end
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '0-*', 'rows', ARGV[3])
"""
#: Also tells the last number given: the entry itself may have megabytes, or be trimmed already.
_BEGIN_LIFE = """
if redis.call('HGET', KEYS[1], 'life') ~= ARGV[1] then
  redis.call('HSET', KEYS[1], 'id', ARGV[2], 'life', ARGV[1])
end
local last = '0-0'
if redis.call('EXISTS', KEYS[2]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then last = info[at + 1] end
  end
end
return {redis.call('HGET', KEYS[1], 'id'), last}
"""
_BEAT = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. redis.call('TIME')[1] .. ' ' .. ARGV[3])
"""


class RedisTooOld(RuntimeError):
    """The log needs Redis 7 or newer, or Valkey, as an older one cannot number a stream's entries by itself."""


class EpochChanged(Exception):
    """The log began another life since this writer last looked; say again what Redis may have lost."""


class Entry(NamedTuple):
    """One batch of rows in the log."""

    seq: int
    rows: bytes


class Head(NamedTuple):
    """Where the log stands: the last number that an entry was given, 0 before the first."""

    epoch: str
    seq: int


class Holding(NamedTuple):
    """The runs that a worker has in hand, as its main process knows them."""

    #: Microseconds since 1970, by the worker's clock: when it looked.
    at: int
    ids: list[str]


class Heartbeat(NamedTuple):
    """A sign of life of one worker."""

    #: Microseconds since 1970, by the worker's clock: when this life of the worker began.
    boot: int
    #: Seconds since its last sign, by the clock of Redis.
    age_s: float
    #: None when it did not say, as it has too many.
    holding: Holding | None = None


def redis_url() -> str:
    """Return the address of the log's Redis: LIVE_REDIS_URL, else the channel layer's host, else Celery's broker."""
    if conf.live.REDIS_URL:
        return conf.live.REDIS_URL
    layer = getattr(settings, "CHANNEL_LAYERS", {}).get(conf.live.CHANNEL_LAYER, {})
    for host in layer.get("CONFIG", {}).get("hosts", []):
        if isinstance(host, str):
            return host
        if isinstance(host, dict) and "address" in host:
            return str(host["address"])
        if isinstance(host, list | tuple):
            return f"redis://{host[0]}:{host[1]}"
    broker = str(current_app.conf.broker_url or "")
    return broker if broker.startswith(("redis", "unix")) else "redis://127.0.0.1:6379/0"


def key(name: str) -> str:
    """Return one of our keys in Redis."""
    return f"{conf.live.KEY_PREFIX}{name}"


def _options() -> dict[str, Any]:
    timeout = conf.live.REDIS_TIMEOUT_S
    # A retry inside the client would reconnect to another life of the server without our noticing.
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "health_check_interval": 0}


def _seq(entry_id: bytes) -> int:
    return int(entry_id.rpartition(b"-")[2])


def _head(answer: Any) -> Head:
    epoch, last = answer
    return Head(epoch.decode(), _seq(last))


def _entries(answer: Any) -> list[Entry]:
    return [Entry(_seq(entry_id), fields.get(b"rows", b"[]")) for entry_id, fields in answer]


def _life(info: dict[str, Any]) -> str:
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    if "valkey_version" not in info and int(re.match(r"\d*", version)[0] or 0) < OLDEST_REDIS:  # type: ignore[index]
        raise RedisTooOld(f"The log needs Redis {OLDEST_REDIS} or newer, or Valkey; {redis_url()} is Redis {version}.")
    return str(info["run_id"])


class Log:
    """The log for a thread that writes or records. Not thread-safe; errors are those of `Unavailable`."""

    def __init__(self) -> None:
        self.redis = redis.Redis.from_url(
            redis_url(),
            retry=Retry(NoBackoff(), 0),
            max_connections=2,
            redis_connect_func=self._note_connect,
            **_options(),
        )
        self.epoch = ""
        self._append = self.redis.register_script(_APPEND)
        self._begin = self.redis.register_script(_BEGIN_LIFE)
        self._beat = self.redis.register_script(_BEAT)
        self._connected_anew = True

    def _note_connect(self, connection: Any) -> None:
        connection.on_connect()
        self._connected_anew = True

    def look_for_life(self) -> str:
        """Learn the epoch, and name a new one when the server began another life. Raises RedisTooOld."""
        return self.head().epoch

    def append(self, rows: bytes) -> int:
        """Append one batch and return its seq. Raises EpochChanged when the log began another life."""
        before = self.epoch
        if self._connected_anew or not before:
            self.look_for_life()
            if before and before != self.epoch:
                raise EpochChanged
        answer = self._append(keys=[key("log"), key("epoch")], args=[self.epoch, conf.live.LOG_MAX_ENTRIES, rows])
        if answer is None or self._connected_anew:
            before = self.epoch
            if self.look_for_life() != before:
                raise EpochChanged
        if answer is None:
            raise EpochChanged
        return _seq(answer)

    def head(self) -> Head:
        """Return the epoch, looked up anew as `look_for_life` does, and the last seq."""
        try:
            life = _life(self.redis.info("server"))
            self._connected_anew = False
            head = _head(self._begin(keys=[key("epoch"), key("log")], args=[life, secrets.token_hex(6)]))
        except BaseException:
            self._connected_anew = True
            raise
        self.epoch = head.epoch
        return head

    def read(self, after: int, count: int, block_ms: int | None = None) -> list[Entry]:
        """Return the entries after a seq, at most `count`; wait for the first as long as `block_ms`, None for not."""
        answer: Any = self.redis.xread({key("log"): f"0-{after}"}, count=count, block=block_ms)
        return _entries(answer[0][1]) if answer else []

    def trim(self, below: int) -> None:
        """Drop the entries before a seq."""
        self.redis.xtrim(key("log"), minid=f"0-{max(below, 0)}", approximate=True)

    def beat(self, worker: str, boot: int, holding: Holding | None = None) -> None:
        """Give a worker's sign of life, and say what it has in hand."""
        self._beat(keys=[key("workers")], args=[worker, boot, msgspec.json.encode(holding)])

    def sign_off(self, worker: str) -> None:
        """Take a worker's sign of life back, when it stops in order."""
        self.redis.hdel(key("workers"), worker)

    def heartbeats(self) -> dict[str, Heartbeat]:
        """Return the last sign of life of each worker, and forget those that have long been silent."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.time()
        pipe.hgetall(key("workers"))
        (now, _micros), found = pipe.execute()
        beats = {}
        for name, value in found.items():
            boot, seen, *said = value.split(b" ", 2)
            if now - int(seen) > _FORGET_WORKER_S:
                self.redis.hdel(key("workers"), name)
            else:
                holding = msgspec.json.decode(said[0], type=Holding | None) if said else None
                beats[name.decode(errors="replace")] = Heartbeat(int(boot), now - int(seen), holding)
        return beats

    def close(self) -> None:
        """Close the connections."""
        self.redis.close()


class AsyncLog:
    """The log for a hub's event loop: reads only."""

    def __init__(self) -> None:
        self.redis = redis.asyncio.Redis.from_url(redis_url(), retry=None, max_connections=4, **_options())
        self._begin = self.redis.register_script(_BEGIN_LIFE)

    async def head(self) -> Head:
        """Return the epoch, naming a new one when the server began another life, and the last seq."""
        life = _life(await self.redis.info("server"))
        return _head(await self._begin(keys=[key("epoch"), key("log")], args=[life, secrets.token_hex(6)]))

    async def read(self, after: int, count: int) -> list[Entry]:
        """Return the entries after a seq, at most `count`."""
        return _entries(await self.redis.xrange(key("log"), min=f"(0-{after}", count=count))

    async def close(self) -> None:
        """Close the connections."""
        await self.redis.aclose()
