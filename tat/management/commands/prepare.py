"""`manage.py prepare`: all that ./run wants of Django before and while the others start, in one process.

One start-up of Django instead of four saves seconds of a start.
"""

from __future__ import annotations

import time
from typing import Any

import redis
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from tat.celery import app

OLDEST_REDIS = 7  # the log needs `XADD key 0-*`
REDIS_ANSWERS_S = 3.0
PING_S = 0.5


class Command(BaseCommand):
    """Migrates, seeds the demo, prints `prepared`, then prints `NAME answers` for each Celery node that does."""

    help = "Look for Redis, migrate, seed the demo, and wait until the given Celery nodes answer."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the nodes to wait for, such as the `celerybeat` of celerybeat@host."""
        parser.add_argument("nodes", nargs="*", help="first halves of the names of Celery nodes to wait for")
        parser.add_argument("--seconds", type=float, default=60, help="how long to wait for them")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do all that; what does not answer gets one sentence and exit code 1."""
        require_redis(settings.REDIS_URL)
        try:
            prepare_database()
        except DatabaseError as error:
            raise CommandError(f"The database does not work: {str(error).strip()}") from error
        if not settings.DEBUG:
            call_command("collectstatic", interactive=False, verbosity=0)
        self.stdout.write("prepared")
        self.stdout.flush()
        self.wait_for(set(options["nodes"]), options["seconds"])

    def wait_for(self, nodes: set[str], seconds: float) -> None:
        """Ping until each of these nodes has answered."""
        deadline = time.monotonic() + seconds
        while nodes:
            if time.monotonic() > deadline:
                raise CommandError(f"No answer within {seconds:.0f} s from: {', '.join(sorted(nodes))}.")
            for answer in app.control.ping(timeout=PING_S):
                for name in {full.partition("@")[0] for full in answer} & nodes:
                    nodes.remove(name)
                    self.stdout.write(f"{name} answers")
                    self.stdout.flush()


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
