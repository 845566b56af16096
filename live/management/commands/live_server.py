"""`manage.py live_server`: the web process, daphne with bounded sockets."""

import socket
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import import_string


class Command(BaseCommand):
    """Serves ASGI_APPLICATION over HTTP and WebSocket until it is stopped."""

    help = "Serve the project over HTTP and WebSocket until stopped with Ctrl-C or SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        """Address and port."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve."""
        host, port = options["host"], options["port"]
        try:
            # Twisted would log the failure and go on without a listener.
            with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
                pass
        except OSError as error:
            raise CommandError(f"{host}:{port} cannot be listened on: {error.strerror or error}.") from error
        application = import_string(settings.ASGI_APPLICATION)
        from live.server import serve

        self.stdout.write(f"Serving on http://{host}:{port}/")
        self.stdout.flush()
        serve(ASGIStaticFilesHandler(application) if settings.DEBUG else application, host, port)
