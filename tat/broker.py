"""The broker's transport: kombu's for Redis, made to survive that Redis dies while messages are unacknowledged."""

from typing import Any

import redis
from kombu.transport import redis as stock


class QoS(stock.QoS):
    """Gives back what a worker held, while there is a connection to give it back on."""

    def restore_unacked(self, client: Any = None) -> None:
        """Called when a channel closes. The stock one raises AttributeError on a lost connection, and the worker exits.

        What it held stays in Redis, and comes back after the visibility timeout.
        """
        if self.channel.connection.client is None:
            raise redis.ConnectionError("The connection to the broker is gone.")
        super().restore_unacked(client)


class Channel(stock.Channel):
    """A channel with our QoS."""

    QoS = QoS


class Transport(stock.Transport):
    """What `broker_transport` names."""

    Channel = Channel
