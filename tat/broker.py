"""The broker's transport: kombu's for Redis, made to survive that Redis dies while a worker holds messages."""

from typing import Any

import redis
from kombu.transport import redis as stock


class QoS(stock.QoS):
    """What a channel has delivered and nobody acknowledged yet."""

    def restore_unacked(self, client: Any = None) -> None:
        """Called when a channel closes: give back what it holds, unless the connection is lost.

        What it holds then may well run here, so it stays as it is: it is acknowledged at its end, or comes back after
        the visibility timeout. The stock one raises AttributeError here, and the worker exits.
        """
        if self.channel.connection.client is None:
            raise redis.ConnectionError("The connection to the broker is lost.")
        super().restore_unacked(client)


class Channel(stock.Channel):
    """A channel that can still acknowledge when its connection is lost and Redis is back."""

    QoS = QoS
    _known: dict[str, Any] | None = None

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """Return how to connect. The stock one raises AttributeError once the connection is lost, and the worker exits.

        Without it a late acknowledgement would be lost with the connection, and its task run twice.
        """
        if self.connection.client is not None:
            self._known = super()._connparams(asynchronous)
        if self._known is None:
            raise redis.ConnectionError("The connection to the broker is lost.")
        return dict(self._known)


class Transport(stock.Transport):
    """What `redis://` means in a broker's address, since `tat/celery.py` says so."""

    Channel = Channel
