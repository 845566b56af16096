"""`manage.py prepare`: all that must be so before worker, beat and web start, in one go."""

from __future__ import annotations

from typing import Any

import redis
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

OLDEST_REDIS = 7  # the log needs `XADD key 0-*`
REDIS_ANSWERS_S = 3.0


class Command(BaseCommand):
    """Looks for Redis, migrates, seeds the demo, and collects static files where they are not found as they are."""

    help = "Look for Redis, migrate, and seed the demo: what ./run does before it starts the rest."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do all that; what does not answer gets one sentence and exit code 1."""
        require_redis(settings.REDIS_URL)
        try:
            prepare_database()
        except DatabaseError as error:
            raise CommandError(f"The database does not work: {' '.join(str(error).split())}") from error
        if not settings.DEBUG:
            call_command("collectstatic", interactive=False, verbosity=0)


def require_redis(url: str) -> None:
    """Raise CommandError with one sentence unless a Redis that is new enough answers there."""
    with redis.Redis.from_url(url, socket_timeout=REDIS_ANSWERS_S, socket_connect_timeout=REDIS_ANSWERS_S) as client:
        place = "{host}:{port}".format_map({"host": "?", "port": "?", **client.get_connection_kwargs()})
        try:
            version = str(client.info("server")["redis_version"])
        except redis.RedisError as error:
            raise CommandError(f"The Redis at {place} (REDIS_URL) does not answer: {error}") from error
    if int(version.partition(".")[0]) < OLDEST_REDIS:
        raise CommandError(f"The Redis at {place} is version {version}; {OLDEST_REDIS}.0 or newer is needed.")


def prepare_database() -> None:
    """Migrate if there is something to migrate, and seed the demo."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)
    call_command("seed_demo")
