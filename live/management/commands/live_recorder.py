"""`manage.py live_recorder`: the recorder as a process of its own, for LIVE_EMBED_RECORDER = False."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from live.recorder import Recorder


class Command(BaseCommand):
    """Takes the log into the database until it is stopped."""

    help = "Take the log into the database until stopped with Ctrl-C or SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until a signal comes."""
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        self.stdout.write("Recording. Stop with Ctrl-C.")
        Recorder().run(stop)
