"""What goes wrong around us, said in a sentence that the user can act on."""


class LaunchError(Exception):
    """Something the user must know about and can mend; the message is all that is shown."""


class RedisServerError(LaunchError):
    """No Redis server can be found or started."""


class PostgresServerError(LaunchError):
    """No PostgreSQL server can be found or started."""
