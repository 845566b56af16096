"""The ASGI application: Django for HTTP, `live` for WebSockets."""

import os
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tat.settings")

http = get_asgi_application()

from live.routing import websocket_urlpatterns  # noqa: E402  the apps must be loaded first


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    """Refuse a socket at any other address, where the router would raise and let a stranger fill the log."""
    await send({"type": "websocket.close"})


websockets = URLRouter([*websocket_urlpatterns, re_path("", refuse)])  # type: ignore[arg-type]  # no view, ASGI
application = ProtocolTypeRouter({"http": http, "websocket": websockets})
