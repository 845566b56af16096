"""`manage.py redis CMD ARGS…`: a Redis command to the Redis in use, wherever it listens."""

from __future__ import annotations

import argparse
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

ANSWER_S = 30


class Command(BaseCommand):
    """Passes one command on, and prints the answer: `manage.py redis ping` prints PONG."""

    help = "Pass a command to the Redis in use, for example: redis ping, or redis info memory."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take everything after the command's name as Redis takes it."""
        parser.add_argument("words", nargs=argparse.REMAINDER, metavar="CMD ARGS", help="a Redis command")

    def handle(self, *args: Any, **options: Any) -> None:
        """Send it; a Redis that refuses or does not answer gets one sentence and exit code 1."""
        if not options["words"]:
            raise CommandError("Which command? For example: manage.py redis ping")
        client = redis.Redis.from_url(settings.REDIS_URL, decode_responses=True, socket_timeout=ANSWER_S)
        client.response_callbacks.clear()  # the server's own words, such as PONG, not True
        try:
            answer = client.execute_command(*options["words"])
        except redis.ConnectionError as error:
            raise CommandError(f"Redis does not answer: {error}") from error
        except redis.RedisError as error:
            raise CommandError(str(error)) from error
        finally:
            client.close()
        for line in lines(answer):
            self.stdout.write(line)


def lines(answer: Any) -> list[str]:
    """Write an answer as text, one item a line; nothing for nil."""
    match answer:
        case None:
            return []
        case dict():
            return [f"{name}: {value}" for name, value in answer.items()]
        case list() | set() | tuple():
            return [line for item in answer for line in lines(item)]
        case _:
            return [str(answer)]
