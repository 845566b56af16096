"""Who opens a socket: only our own pages, only with a session that holds; a look does not change it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.test import Client
from websockets.exceptions import InvalidStatus

from live import access
from live.queries import Viewer
from tests.harness.live_socket import LiveSocket
from tests.harness.stack import MakeStack, Stack

HOST = "testserver:8000"


@pytest.fixture
def session_of() -> Any:
    """Log a user in and return the session's key."""

    def log_in(user: Any) -> str:
        client = Client()
        client.force_login(user)
        return str(client.session.session_key)

    return log_in


def is_allowed(origin: str, scheme: str = "ws", host: str = HOST, **headers: str) -> bool:
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return access.origin_allowed({b"host": host.encode(), b"origin": origin.encode("latin-1"), **named}, scheme)


@pytest.mark.parametrize("origin", ["http://testserver:8000", "HTTP://TestServer:8000", "http://testserver:8000/"])
def test_our_own_page_may_open_a_socket(origin: str) -> None:
    assert is_allowed(origin)


def test_a_default_port_is_the_same_whether_it_is_written_or_not() -> None:
    assert is_allowed("http://testserver", host="testserver:80")
    assert is_allowed("https://testserver:443", host="testserver", scheme="wss")


@pytest.mark.parametrize(
    "origin",
    [
        "http://testserver:8001",
        "http://testserver",
        "https://testserver:8000",
        "ws://testserver:8000",
        "http://evil.example",
        "http://testserver:8000.evil.example",
        "http://testserver:8000@evil.example",
        "http://evil.example/http://testserver:8000",
        "null",
        "http://[",
        "http://[::1",
        "http://testserver:99999",
        "http://testserver:port",
        "http://",
        "file://",
        "testserver:8000",
        "\xe9\x00",
    ],
)
def test_any_other_page_may_not(origin: str) -> None:
    assert not is_allowed(origin)


def test_who_sends_no_origin_is_no_browser_and_comes_to_the_session_check() -> None:
    assert access.origin_allowed({b"host": HOST.encode()})


def test_no_origin_is_ours_on_a_host_that_is_not() -> None:
    assert not is_allowed("http://evil.example", host="evil.example")


def test_a_page_by_http_may_not_use_a_cookie_that_is_kept_from_http(settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = True

    assert not is_allowed("http://testserver:8000")
    assert is_allowed("https://testserver:8000")


def test_behind_a_proxy_the_pages_scheme_is_the_one_the_proxy_says(settings: Any) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

    assert is_allowed("https://testserver:8000", x_forwarded_proto="https")
    assert not is_allowed("http://testserver:8000", x_forwarded_proto="https")


def test_whom_django_trusts_with_a_post_may_open_a_socket_too(settings: Any) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://tat.example.org", "https://*.example.net"]

    assert is_allowed("https://tat.example.org")
    assert is_allowed("https://one.example.net")
    assert is_allowed("http://testserver:8000")
    assert not is_allowed("http://tat.example.org")
    assert not is_allowed("https://other.example.org")
    assert not is_allowed("https://one.example.net.evil.example")
    assert not is_allowed("http://one.example.net")


def test_origins_that_are_listed_are_the_only_ones(settings: Any) -> None:
    settings.LIVE_ALLOWED_ORIGINS = ["https://tat.example.org"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://other.example.org"]

    assert is_allowed("https://tat.example.org:443")
    assert not is_allowed("http://testserver:8000")
    assert not is_allowed("https://other.example.org")


@pytest.fixture(scope="module")
def listed(make_stack: MakeStack) -> Iterator[Stack]:
    """A web server that lists its origins."""
    yield make_stack("web", LIVE_EMBED_RECORDER=False, LIVE_ALLOWED_ORIGINS=["https://tat.example.org"])


def test_a_server_opens_to_listed_origins_and_refuses_its_own_address(listed: Stack) -> None:
    listed.ask("make_user", "clerk")
    key = listed.ask("log_in", "clerk")

    with LiveSocket(listed.origin, key, claimed_origin="https://tat.example.org") as socket:
        assert socket.wait_for(bool)["type"] == "hello"
    # What is no address at all is refused by the server before it comes to us.
    for origin, status in ((listed.origin, 403), ("null", 403), ("http://evil.example", 403), ("http://[", 400)):
        with pytest.raises(InvalidStatus) as refused:
            LiveSocket(listed.origin, key, claimed_origin=origin)
        assert refused.value.response.status_code == status, origin
    assert "Traceback" not in listed.processes["web"].text()


@pytest.mark.parametrize(
    ("cookie", "key"),
    [
        (b"", ""),
        (b"theme=dark", ""),
        (b"theme=dark; sessionid=abc; x=y", "abc"),
        (b"sessionid=", ""),
        (b"sessionid=a\x00b", "ab"),
        (b"sessionid=\xff\xfe", "\xff\xfe"),
        (b";;=;sessionid", ""),
    ],
)
def test_the_session_is_read_from_the_cookie_whatever_it_holds(cookie: bytes, key: str) -> None:
    assert access.session_key({b"cookie": cookie}) == key


def test_without_a_cookie_there_is_no_session() -> None:
    assert access.session_key({b"host": HOST.encode(), b"authorization": b"Bearer abc"}) == ""


def test_who_is_logged_in_is_known_with_their_rights(clerk: Any, operator: Any, session_of: Any) -> None:
    assert access.viewer(session_of(clerk)) == Viewer("clerk", sees_all=False)
    assert access.viewer(session_of(operator)) == Viewer("operator", sees_all=True)


def test_rights_come_from_groups_too_and_from_being_a_superuser(clerk: Any, other_clerk: Any, session_of: Any) -> None:
    group = Group.objects.create(name="watchers")
    group.permissions.add(Permission.objects.get(codename="view_all_runs"))
    clerk.groups.add(group)
    other_clerk.is_superuser = True
    other_clerk.save()

    assert access.viewer(session_of(clerk)) == Viewer("clerk", sees_all=True)
    assert access.viewer(session_of(other_clerk)) == Viewer("other-clerk", sees_all=True)


@pytest.mark.parametrize(
    "key", ["", "x", "short", "a" * 32, "a" * 10_000, "\xff\xfe", "'; DROP TABLE live_run; --", "../../etc", "%00", "‮"]
)
def test_a_key_that_is_no_sessions_is_nobodys(key: str, clerk: Any) -> None:
    assert access.viewer(key) is None


def test_a_user_who_was_made_inactive_is_nobody(clerk: Any, session_of: Any) -> None:
    key = session_of(clerk)
    clerk.is_active = False
    clerk.save()

    assert access.viewer(key) is None


def test_a_user_who_was_deleted_is_nobody(clerk: Any, session_of: Any) -> None:
    key = session_of(clerk)
    clerk.delete()

    assert access.viewer(key) is None


def test_a_session_from_before_the_password_changed_is_nobodys_and_is_left_alone(clerk: Any, session_of: Any) -> None:
    key = session_of(clerk)
    clerk.set_password("another")
    clerk.save()

    assert access.viewer(key) is None
    assert Session.objects.filter(session_key=key).exists()


def test_a_session_that_has_expired_is_nobodys(clerk: Any, session_of: Any) -> None:
    key = session_of(clerk)
    Session.objects.filter(session_key=key).update(expire_date="2001-01-01T00:00:00Z")

    assert access.viewer(key) is None


def test_a_session_whose_content_is_spoilt_is_nobodys(clerk: Any, session_of: Any) -> None:
    key = session_of(clerk)
    Session.objects.filter(session_key=key).update(session_data="spoilt")

    assert access.viewer(key) is None


def test_looking_does_not_renew_a_key_that_the_browser_would_then_not_have(
    clerk: Any, session_of: Any, settings: Any
) -> None:
    key = session_of(clerk)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new one " * 5, [settings.SECRET_KEY]

    assert access.viewer(key) == Viewer("clerk", sees_all=False)
    assert access.viewer(key) == Viewer("clerk", sees_all=False)
    assert Session.objects.filter(session_key=key).exists()
