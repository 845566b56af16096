"""Who opens a socket: from which origin, with which session, and whether that still holds."""

from __future__ import annotations

from importlib import import_module
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, parse_cookie
from django.utils.http import is_same_domain

from live import conf, queries

Headers = dict[bytes, bytes]


def session_key(headers: Headers) -> str:
    """Return the session's key from the handshake's cookie, the only thing that logs in; "" when there is none."""
    cookies = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
    return cookies.get(settings.SESSION_COOKIE_NAME, "").replace("\x00", "")


def viewer(key: str) -> queries.Viewer | None:
    """Return who is logged in with this session, or None; reads the session, the user and the rights."""
    if not key:
        return None
    request = HttpRequest()
    request.session = session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    # After a change of SECRET_KEY Django gives the session another key, and no cookie here would tell the browser.
    session.cycle_key = lambda: None
    session.flush = session.clear
    user = get_user(request)
    if not user.is_authenticated or not user.is_active:
        return None
    return queries.Viewer.of(user)


def origin_allowed(headers: Headers, scheme: str = "ws") -> bool:
    """Whether the page that opens the socket is ours: LIVE_ALLOWED_ORIGINS, else what Django takes a POST from.

    A request without Origin comes from no browser and is let through to the session check.
    """
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        return True
    try:
        allowed = conf.live.ALLOWED_ORIGINS or [_own_origin(headers, scheme), *settings.CSRF_TRUSTED_ORIGINS]
        return any(_covers(_parts(one), _parts(origin)) for one in allowed)
    except (ValueError, DisallowedHost):
        return False


def _own_origin(headers: Headers, scheme: str) -> str:
    request = HttpRequest()
    for name, value in headers.items():
        request.META[f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"] = value.decode("latin-1")
    # A cookie that is kept from http must not be used by a page that came by http.
    is_secure = scheme == "wss" or request.is_secure() or settings.SESSION_COOKIE_SECURE
    return f"{'https' if is_secure else 'http'}://{request.get_host()}"


def _covers(allowed: tuple[str, str, int], origin: tuple[str, str, int]) -> bool:
    """Whether both are the same; as in Django, `https://*.example.org` is every host of that domain."""
    return (allowed[0], allowed[2]) == (origin[0], origin[2]) and is_same_domain(
        origin[1], allowed[1].removeprefix("*")
    )


def _parts(origin: str) -> tuple[str, str, int]:
    """Return scheme, host and port; raises ValueError for what is no origin."""
    url = urlsplit(origin)
    if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/"):
        raise ValueError(f"An origin is http(s)://host, not {origin[:100]!r}.")
    return url.scheme, url.hostname, url.port or (443 if url.scheme == "https" else 80)
