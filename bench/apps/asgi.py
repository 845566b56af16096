"""The sockets: those of `live`, or the recipe's."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.apps.settings")
http = get_asgi_application()

if settings.VARIANT == "live":
    from live.routing import websocket_urlpatterns

    sockets = URLRouter(websocket_urlpatterns)
else:
    from bench.apps.recipe import TaskConsumer

    sockets = AuthMiddlewareStack(URLRouter([path("ws/live/", TaskConsumer.as_asgi())]))

application = ProtocolTypeRouter({"http": http, "websocket": sockets})
