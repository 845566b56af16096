"""`manage.py demo`: a company with customers and months of history; with --traffic, one that goes on working."""

from __future__ import annotations

import argparse
import signal
import threading
from random import Random
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import roles
from billing.demo import history
from billing.demo.traffic import Office

RATE_PER_MINUTE = 20.0
MAX_RATE_PER_MINUTE = 6_000.0


class Command(BaseCommand):
    """Makes the demo's company, once, or lets it work until Ctrl-C."""

    help = "Make a believable company with months of history, once; with --traffic let it go on working."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take --traffic, --rate and --force."""
        parser.add_argument("--traffic", action="store_true", help="then go on working until Ctrl-C")
        parser.add_argument("--rate", type=_rate, default=RATE_PER_MINUTE, help="pieces of work a minute (default: 20)")
        parser.add_argument("--force", action="store_true", help="also outside DEBUG")

    def handle(self, *args: Any, traffic: bool, rate: float, force: bool, **options: Any) -> None:
        """Make what is missing, then work if asked to."""
        if not (settings.DEBUG or force):
            raise CommandError("DEBUG is off: this may be a company at work. With --force it is done anyway.")
        if history.seed(self.stdout.write):
            self.stdout.write("The demo's company is there.")
        else:
            self.stdout.write("The demo's company is there already: nothing was done.")
        if traffic:
            self._work(rate)

    def _work(self, rate: float) -> None:
        office = Office(get_user_model()._default_manager.get(username=roles.CLERK), Random())
        self.stdout.write(f"Working, about {rate:g} times a minute, until Ctrl-C.")
        stopped = threading.Event()
        # Not by KeyboardInterrupt, which a library's callback may swallow.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        while not stopped.is_set():
            self.stdout.write(office.work())
            stopped.wait(office.random.expovariate(rate / 60))
        self.stdout.write("Stopped.")


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0
    if not 0 < rate <= MAX_RATE_PER_MINUTE:
        expected = f"expected a number above 0, at most {MAX_RATE_PER_MINUTE:g}, and got {text!r}"
        raise argparse.ArgumentTypeError(expected)
    return rate
