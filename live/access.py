"""Who opens a socket: from which origin, with which session, and whether that still holds."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.http.request import validate_host

from live import conf, queries


def session_key(headers: dict[bytes, bytes]) -> str:
    """Return the session's key from the handshake's cookie, the only thing that logs in; "" when there is none."""
    try:
        cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return ""
    found = cookies.get(settings.SESSION_COOKIE_NAME)
    return found.value if found else ""


def viewer(key: str) -> queries.Viewer | None:
    """Return who is logged in with this session, or None; reads the session, the user and the rights."""
    if not key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(request)
    if not user.is_authenticated or not user.is_active:
        return None
    return queries.Viewer.of(user)


def origin_allowed(headers: dict[bytes, bytes]) -> bool:
    """Whether the page that opens the socket is ours: LIVE_ALLOWED_ORIGINS, else the host it was asked from.

    A request without Origin comes from no browser and is let through to the session check.
    """
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        return True
    try:
        came = _parts(urlsplit(origin))
        if conf.live.ALLOWED_ORIGINS:
            return came in [_parts(urlsplit(allowed)) for allowed in conf.live.ALLOWED_ORIGINS]
        host = headers.get(b"host", b"").decode("latin-1")
        own = urlsplit(f"{came[0]}://{host}")
        hosts = settings.ALLOWED_HOSTS or (["localhost", "127.0.0.1", "[::1]", ".localhost"] if settings.DEBUG else [])
        return came == _parts(own) and validate_host(_bracketed(own), hosts)
    except ValueError:
        return False


def _parts(url: SplitResult) -> tuple[str, str, int]:
    """Return scheme, host and port; raises ValueError for what is no origin."""
    if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/"):
        raise ValueError(f"An origin is http(s)://host, not {url.geturl()[:100]!r}.")
    return url.scheme, url.hostname, url.port or (443 if url.scheme == "https" else 80)


def _bracketed(url: SplitResult) -> str:
    host: Any = url.hostname
    return f"[{host}]" if ":" in host else host
