"""A Redis of one test's own, which it may stop, freeze, kill and start again."""

from __future__ import annotations

import signal
from pathlib import Path

from redis import Redis

from scripts import redis_server


class OwnRedis:
    """A real server; `freeze` lets it take connections and answer nothing, as a stuck machine does."""

    def __init__(self, directory: Path, aof: bool = True) -> None:
        self._aof = aof
        self._server = redis_server.start(directory, aof=aof)
        self.port, self.url = self._server.port, self._server.url
        self.client = Redis.from_url(self.url)

    def freeze(self) -> None:
        """Stop it without its knowing."""
        self._server.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._server.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it as a crash would."""
        self._server.kill()

    def restart(self) -> None:
        """Begin another life on the same port with the same files."""
        self._server = redis_server.start(self._server.directory, port=self.port, aof=self._aof)

    def close(self) -> None:
        """End it."""
        self.client.close()
        self.thaw()
        self._server.kill()
