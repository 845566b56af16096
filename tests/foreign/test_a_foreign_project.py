"""A project that knows nothing of tat takes in `live` in the README's steps, and sees all its runs."""

from __future__ import annotations

import http.cookiejar
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.foreign.conftest import PASSWORD, Shop
from tests.harness import browsing, need
from tests.harness.live_socket import LiveSocket

ENDS = ("succeeded", "failed", "cancelled", "lost")


class Person:
    """A user of the shop, logged in through its login page."""

    def __init__(self, shop: Shop, username: str) -> None:
        self.shop = shop
        self.cookies = http.cookiejar.CookieJar()
        self.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.get("/accounts/login/")
        form = {"username": username, "password": PASSWORD, "csrfmiddlewaretoken": self.cookie("csrftoken")}
        form["next"] = "/live/"
        self.get("/accounts/login/", urllib.parse.urlencode(form).encode())

    def get(self, address: str, data: bytes | None = None) -> str:
        """Get a page, or post to it."""
        with self.browser.open(self.shop.origin + address, data, timeout=20) as answer:
            return str(answer.read().decode())

    def cookie(self, name: str) -> str:
        """Return the value of a cookie that the shop has set."""
        return next(str(cookie.value) for cookie in self.cookies if cookie.name == name)


@pytest.fixture(scope="module")
def boss(shop: Shop) -> Person:
    """The superuser."""
    return Person(shop, "boss")


@pytest.fixture(scope="module")
def watched(shop: Shop, boss: Person) -> Iterator[LiveSocket]:
    """The superuser's socket, open before anything is ordered."""
    with LiveSocket(shop.origin, boss.cookie("sessionid")) as socket:
        socket.subscribe(limit=200)
        yield socket


@pytest.fixture(scope="module")
def ordered(shop: Shop, watched: LiveSocket) -> dict[str, str]:
    """What one visit of ann's to the order page sent: ids by what it was."""
    return dict(json.loads(Person(shop, "ann").get("/orders/")))


@pytest.mark.parametrize(
    ("what", "state", "result"),
    [
        ("add", "succeeded", "8"),
        ("chain", "succeeded", "64"),
        ("chord", "succeeded", "6"),
        ("countdown", "succeeded", "4"),
        ("error_prone", "failed", None),
        ("upload_files", "succeeded", "3"),
    ],
)
def test_each_run_of_an_unchanged_task_is_seen_to_its_end(
    what: str, state: str, result: str | None, watched: LiveSocket, ordered: dict[str, str]
) -> None:
    row = watched.wait_for_state(ordered[what], *ENDS, seconds=60)

    assert (row["state"], row["result"], row["owner"]) == (state, result, "ann")


def test_the_members_of_chains_and_chords_belong_to_who_ordered_them(
    watched: LiveSocket, ordered: dict[str, str]
) -> None:
    watched.wait_for_state(ordered["chord"], *ENDS, seconds=60)
    watched.wait_for_state(ordered["chain"], *ENDS, seconds=60)

    sent = [row for row in watched.rows.values() if row["owner"] == "ann"]

    # One each, two links of the chain, three members and a body of the chord.
    assert len(sent) == 1 + 2 + 4 + 1 + 1 + 1
    assert watched.rows[ordered["chain"]]["kind"] == "child"


def test_the_progress_that_the_task_reports_anyway_is_seen(watched: LiveSocket, ordered: dict[str, str]) -> None:
    watched.wait_for_state(ordered["upload_files"], "succeeded", seconds=60)

    said = [
        (row["progress"]["current"], row["progress"]["total"])
        for frame in watched.frames
        for row in frame.get("runs", [])
        if row["id"] == ordered["upload_files"] and row["progress"]
    ]

    assert set(said) >= {(0, 3), (1, 3), (2, 3)}
    assert said == sorted(said)


def test_a_failure_says_why(watched: LiveSocket, ordered: dict[str, str]) -> None:
    error = watched.wait_for_state(ordered["error_prone"], "failed", seconds=60)["error"]

    assert (error["type"], "no such order" in error["message"]) == ("KeyError", True)
    assert "error_prone" in error["traceback"]


def test_runs_of_celerys_own_scheduler_appear_by_themselves(watched: LiveSocket) -> None:
    def is_sent_by_beat(row: dict[str, Any]) -> bool:
        return (row["task"], row["kind"], row["state"]) == ("orders.tasks.add", "scheduled", "succeeded")

    if not any(map(is_sent_by_beat, watched.rows.values())):
        watched.wait_for(lambda frame: any(map(is_sent_by_beat, frame.get("runs", []))), 20)


def test_a_user_of_the_shop_sees_own_runs_only(shop: Shop, ordered: dict[str, str]) -> None:
    ann, bob = Person(shop, "ann"), Person(shop, "bob")
    for person, sees in ((ann, True), (bob, False)):
        with LiveSocket(shop.origin, person.cookie("sessionid")) as socket:
            shown = [row["id"] for row in socket.subscribe(limit=200)["runs"]]
            assert set(ordered.values()) <= set(shown) if sees else shown == []
        assert (ordered["add"] in person.get("/live/")) == sees


def test_the_page_goes_live_in_the_shop_with_plain_static_files(
    shop: Shop, boss: Person, watched: LiveSocket, ordered: dict[str, str]
) -> None:
    executable = need.chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=browsing.ARGUMENTS)
        context = browser.new_context()
        cookie = {"name": "sessionid", "value": boss.cookie("sessionid"), "url": shop.origin}
        context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()

        page.goto(f"{shop.origin}/live/")

        expect(page.locator("live-connection")).to_have_attribute("data-state", "live", timeout=30_000)
        new = Person(shop, "ann").get("/orders/")
        row = page.locator(f"tbody [data-run-id='{json.loads(new)['add']}']")
        expect(row).to_have_attribute("data-state", "succeeded", timeout=30_000)
        browser.close()


def test_the_shop_s_checks_name_what_loses_tasks_and_nothing_is_an_error(shop: Shop) -> None:
    shop.manage("check")


def test_celery_itself_works_as_before(shop: Shop, ordered: dict[str, str]) -> None:
    ask = f"from shop import celery_app; print(celery_app.AsyncResult('{ordered['add']}').get(timeout=20))"

    assert shop.manage("shell", "-c", ask).strip().endswith("8")
