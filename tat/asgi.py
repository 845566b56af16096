"""The ASGI application: Django for HTTP, `live` for WebSockets."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tat.settings")

http = get_asgi_application()

from live.routing import websocket_urlpatterns  # noqa: E402  the apps must be loaded first

application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(websocket_urlpatterns)})
