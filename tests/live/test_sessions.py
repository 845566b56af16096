"""Open sockets follow their logins: a logout, a right that goes, a user who goes. Other people's sockets stay."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.harness.live_socket import LiveSocket
from tests.harness.stack import MakeStack, Stack
from tests.harness.wait import until
from tests.live.readers import log_of
from tests.live.rows import make_row

RECHECK_S = 0.5
#: A check of all sessions, on a busy machine.
SOON_S = RECHECK_S + 5


@pytest.fixture(scope="module")
def web(make_stack: MakeStack) -> Iterator[Stack]:
    """A web server that looks at its sessions often; its log holds no traceback when all is over."""
    stack = make_stack("web", LIVE_RECHECK_S=RECHECK_S, LIVE_BEAT_S=0.2, LIVE_HEAD_CHECK_S=0.1)
    for username in ("clerk", "other"):
        stack.ask("make_user", username)
    yield stack
    assert "Traceback" not in stack.processes["web"].text()


@pytest.fixture(scope="module")
def lazy(make_stack: MakeStack) -> Stack:
    """A web server that hardly ever looks at its sessions, so that what it does at once is seen to be done at once."""
    stack = make_stack("web", LIVE_RECHECK_S=600, LIVE_EMBED_RECORDER=False)
    stack.ask("make_user", "clerk")
    return stack


class Browser:
    """Logs in and out through the real pages, and keeps its cookies."""

    def __init__(self, stack: Stack) -> None:
        self.port = stack.port
        self.cookies: SimpleCookie = SimpleCookie()

    def request(self, method: str, address: str, **form: str) -> tuple[int, str]:
        """Return status and text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())}
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, address, urlencode(form), headers)
        answer = connection.getresponse()
        for value in answer.headers.get_all("Set-Cookie", []):
            self.cookies.load(value)
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def post(self, page: str, address: str, **form: str) -> int:
        """Post a form of a page, with the page's token."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.request("GET", page)[1])
        assert token
        return self.request("POST", address, csrfmiddlewaretoken=token[1], **form)[0]

    def log_in(self, username: str) -> str:
        """Log in and return the session's key."""
        assert self.post("/accounts/login/", "/accounts/login/", username=username, password=username) == 302
        return self.cookies["sessionid"].value


def hello(socket: LiveSocket) -> LiveSocket:
    socket.wait_for(lambda frame: frame["type"] == "hello")
    return socket


def test_a_logout_closes_all_sockets_of_the_session_at_once_and_no_others(lazy: Stack) -> None:
    browser, other_browser = Browser(lazy), Browser(lazy)
    key, other_key = browser.log_in("clerk"), other_browser.log_in("clerk")
    with (
        LiveSocket(lazy.origin, key) as first,
        LiveSocket(lazy.origin, key) as second,
        LiveSocket(lazy.origin, other_key) as other,
    ):
        for socket in (first, second, other):
            hello(socket).subscribe()

        assert browser.post("/live/", "/accounts/logout/") == 302

        assert first.wait_for_close(3)[0] == 4001
        assert second.wait_for_close(3)[0] == 4001
        assert other.subscribe(sub="still here")["type"] == "snapshot"
    with LiveSocket(lazy.origin, key) as again:
        assert again.wait_for_close(3)[0] == 4001


def test_what_happens_after_a_logout_is_not_said(web: Stack) -> None:
    browser, said, stop = Browser(web), [0], threading.Event()

    def keep_saying(announce: Any) -> None:
        while not stop.wait(0.005):
            said[0] += 1
            announce(make_row("busy", owner="clerk", moment=said[0]))

    with log_of(web) as announce, LiveSocket(web.origin, browser.log_in("clerk")) as socket:
        hello(socket).subscribe()
        speaker = threading.Thread(target=keep_saying, args=(announce,))
        speaker.start()
        try:
            socket.wait_for(lambda frame: frame.get("runs"))
            assert browser.post("/live/", "/accounts/logout/") == 302
            after = said[0]
            until(lambda: said[0] > after + 20, "more to be said")
            code = socket.wait_for_close(5)[0]
        finally:
            stop.set()
            speaker.join()

    assert code == 4001
    moments = [row["version"][2] for frame in socket.frames for row in frame.get("runs", [])]
    # One was being said while the answer came.
    assert moments[-1] <= after + 1


def assert_sent_to_log_in(stack: Stack, socket: LiveSocket, key: str) -> None:
    """The socket is closed so that its page comes back, and what comes back is told to log in."""
    assert socket.wait_for_close(SOON_S)[0] == 4000
    with LiveSocket(stack.origin, key) as again:
        assert again.wait_for_close(3)[0] == 4001
        assert again.frames == []


def test_a_session_that_ended_elsewhere_is_found_by_the_watch(web: Stack) -> None:
    key, other_key = web.ask("log_in", "clerk"), web.ask("log_in", "clerk")
    with LiveSocket(web.origin, key) as socket, LiveSocket(web.origin, other_key) as other:
        hello(socket).subscribe()
        hello(other)

        web.ask("log_out", key)

        assert_sent_to_log_in(web, socket, key)
        assert other.subscribe()["type"] == "snapshot"


@pytest.mark.parametrize(
    ("call", "options"),
    [("change_user", {"is_active": False}), ("change_user", {"password": "another"}), ("delete_user", {})],
    ids=["inactive", "another password", "deleted"],
)
def test_who_may_no_longer_be_here_is_sent_to_log_in(web: Stack, call: str, options: dict[str, Any]) -> None:
    web.ask("make_user", "leaver")
    web.ask("change_user", "leaver", is_active=True)
    key = web.ask("log_in", "leaver")
    with LiveSocket(web.origin, key) as socket:
        hello(socket).subscribe()

        web.ask(call, "leaver", **options)

        assert_sent_to_log_in(web, socket, key)


def test_who_changes_their_password_stays_with_the_cookie_that_they_get(web: Stack) -> None:
    web.ask("make_user", "changer")
    browser = Browser(web)
    with LiveSocket(web.origin, browser.log_in("changer")) as socket:
        hello(socket)

        address, new = "/accounts/password_change/", "Another-1-password"
        assert browser.post(address, address, old_password="changer", new_password1=new, new_password2=new) == 302

        assert socket.wait_for_close(SOON_S)[0] == 4000
    with LiveSocket(web.origin, browser.cookies["sessionid"].value) as again:
        assert hello(again).subscribe()["type"] == "snapshot"


def test_rights_that_go_close_with_4000_and_the_page_comes_back_to_its_own_runs_only(web: Stack) -> None:
    web.ask("make_user", "demoted", sees_all=True)
    key = web.ask("log_in", "demoted")
    with log_of(web) as announce:
        announce(make_row("clerks", owner="clerk"), make_row("own", owner="demoted"))
    with LiveSocket(web.origin, key) as socket:
        seq = hello(socket).subscribe(limit=200)["seq"]
        socket.wait_for_state("clerks", "running")
        epoch = socket.frames[0]["epoch"]

        web.ask("take_rights", "demoted")

        assert socket.wait_for_close(SOON_S)[0] == 4000
    with LiveSocket(web.origin, key) as again:
        # What the page has of others must go, so its `since` is of no use.
        back = hello(again).subscribe(limit=200, since={"epoch": epoch, "seq": seq})
        assert back["type"] == "snapshot"
        assert set(again.rows) == {"own"}


def test_rights_that_come_close_with_4000_and_the_page_comes_back_to_all_runs(web: Stack) -> None:
    web.ask("make_user", "promoted")
    key = web.ask("log_in", "promoted")
    with log_of(web) as announce:
        announce(make_row("another", owner="clerk"))
    with LiveSocket(web.origin, key) as socket:
        assert hello(socket).subscribe()["runs"] == []

        web.ask("give_rights", "promoted")

        assert socket.wait_for_close(SOON_S)[0] == 4000
    with LiveSocket(web.origin, key) as again:
        hello(again).subscribe(limit=200)
        again.wait_for_state("another", "running")


def test_a_login_that_holds_keeps_its_socket_however_often_it_is_looked_at(web: Stack) -> None:
    with LiveSocket(web.origin, web.ask("log_in", "other")) as socket:
        for _ in range(int(4 * RECHECK_S / 0.2)):
            socket.wait_for(lambda frame: frame["type"] == "beat")

        assert socket.subscribe()["type"] == "snapshot"
