"""Opens the WebSocket once, as a browser would, with what Python brings along."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import time
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model

from live.frames import CloseCode

WAIT_S = 5.0
PATH = "/ws/live/"
_TEXT, _CLOSE = 1, 8
_MAX_FRAME_BYTES = 16 * 1024 * 1024


class Refused(Exception):
    """The web server does not answer as it should; the message says how it does."""


def ask(url: str, username: str = "") -> str:
    """Shake hands; as a user also subscribe and read the list. Without one the refusal 4001 is the right answer."""
    session = _log_in(username) if username else None
    begun = time.perf_counter()
    try:
        with _open(url, session.session_key if session else "") as stream:
            code, frame = _read(stream)
            if session is None:
                if code != _CLOSE or frame != CloseCode.LOG_IN:
                    raise Refused(f"Expected close code {int(CloseCode.LOG_IN)} for nobody; got {frame!r}.")
                return f"The WebSocket answers in {_ms(begun)}, and lets nobody in without login."
            _expect(code, frame, "hello")
            _write(stream, {"type": "subscribe", "sub": "doctor", "topic": "runs", "limit": 1})
            code, frame = _read(stream)
            while code == _TEXT and frame.get("type") == "beat":
                code, frame = _read(stream)
            _expect(code, frame, "snapshot")
            return f"The WebSocket gives {username} the list of runs in {_ms(begun)}."
    except (OSError, EOFError) as error:
        raise Refused(f"{url} does not answer within {WAIT_S:g} s: {error}") from error
    finally:
        if session is not None:
            session.delete()


def _log_in(username: str) -> Any:
    """Make a session that lives as long as the question."""
    users = get_user_model()
    try:
        user = users.objects.get_by_natural_key(username)
    except users.DoesNotExist as error:
        raise Refused(f"There is no user {username!r}.") from error
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.set_expiry(60)
    session.create()
    return session


def _open(url: str, session_key: str) -> Any:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"Expected an address like http://127.0.0.1:8000, not {url!r}.")
    secure = parts.scheme == "https"
    connection = socket.create_connection((parts.hostname, parts.port or (443 if secure else 80)), timeout=WAIT_S)
    if secure:
        connection = ssl.create_default_context().wrap_socket(connection, server_hostname=parts.hostname)
    stream = connection.makefile("rwb")
    connection.close()  # the file holds it open
    lines = [
        f"GET {PATH} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Origin: {parts.scheme}://{parts.netloc}",
        f"Cookie: {settings.SESSION_COOKIE_NAME}={session_key}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
    ]
    stream.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    stream.flush()
    status = stream.readline(1024).decode("latin-1").strip()
    if " 101 " not in f"{status} ":
        stream.close()
        raise Refused(f"Expected 101 Switching Protocols on {PATH}; got {status or 'nothing'!r}.")
    while stream.readline(8192).strip():
        pass
    return stream


def _read(stream: Any) -> tuple[int, Any]:
    """Return opcode and value of the next frame: the JSON of a text frame, the code of a close."""
    first, second = _take(stream, 2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(_take(stream, 2 if size == 126 else 8), "big")
    if size > _MAX_FRAME_BYTES:
        raise Refused(f"Expected a frame of at most {_MAX_FRAME_BYTES:,} bytes; got one of {size:,}.")
    payload, opcode = _take(stream, size), first & 0x0F
    if opcode == _CLOSE:
        return opcode, int.from_bytes(payload[:2], "big")
    return opcode, json.loads(payload) if opcode == _TEXT else payload


def _take(stream: Any, size: int) -> bytes:
    data: bytes = stream.read(size)
    if len(data) < size:
        raise EOFError("the server hung up")
    return data


def _write(stream: Any, frame: dict[str, Any]) -> None:
    payload, mask = json.dumps(frame).encode(), os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    stream.write(bytes([0x80 | _TEXT, 0x80 | len(payload)]) + mask + masked)  # shorter than 126 bytes
    stream.flush()


def _expect(opcode: int, frame: Any, kind: str) -> None:
    if opcode != _TEXT or frame.get("type") != kind:
        raise Refused(f"Expected a {kind} frame; got {frame!r}.")


def _ms(begun: float) -> str:
    return f"{(time.perf_counter() - begun) * 1000:.0f} ms"
