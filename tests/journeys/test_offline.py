"""The network cable is pulled while runs go on: the page says so, keeps what it had, and is exact when it is back."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.harness.browsing import Visitor
from tests.harness.stack import Stack
from tests.harness.wait import until

#: The promise is 2 s, measured from the moment at which the socket is open again; this leaves room for a busy machine.
EXACT_S = 20
#: A page that hears nothing for 2.5 beats of 10 s calls itself stale.
STALE_S = 45


def test_after_an_offline_time_the_list_is_exact(stack: Stack, visitor: Callable[..., Visitor]) -> None:
    window = visitor("clerk")
    page = window.go("/live/")
    going = stack.send("journey.steps", "offline", 2, owner="clerk")
    stack.gates.wait_for_arrival("offline.1")
    expect(page.locator(f"tbody [data-run-id='{going}'] [data-field=progress]")).to_contain_text("0 of 2")
    before = window.read_list()["rows"]

    window.cut()
    new = [stack.send("journey.add", number, 1, owner="clerk") for number in range(5)]
    failed = stack.send("journey.fail", owner="clerk")
    stack.gates.open("offline.1", "offline.2")
    for run_id in (going, *new, failed):
        stack.wait_for_state(run_id, "succeeded", "failed")

    expect(page.locator("live-connection")).not_to_have_attribute("data-state", "live", timeout=STALE_S * 1000)
    assert window.read_list()["rows"] == before
    window.mend()

    window.wait_until_live()
    window.wait_until_exact(EXACT_S)
    assert {going, *new, failed} <= set(window.states())


def test_after_more_news_than_the_log_keeps_the_list_is_exact(stack: Stack, visitor: Callable[..., Visitor]) -> None:
    window = visitor("admin")
    window.go("/live/")

    window.cut()
    ids = stack.ask("send", "journey.add", [1, 1], times=150)
    until(lambda: set(stack.ask("states", id__in=ids)) == {"succeeded"}, "all to succeed", 60)
    window.mend()

    window.wait_until_live()
    window.wait_until_exact(EXACT_S)


def test_the_page_of_a_run_that_ended_meanwhile_is_exact(stack: Stack, visitor: Callable[..., Visitor]) -> None:
    run_id = stack.send("journey.retry", 1, "away", owner="clerk")
    stack.gates.wait_for_arrival("away.1")
    stack.wait_for_state(run_id, "running")
    window = visitor("clerk")
    page = window.go(f"/live/runs/{run_id}/")

    window.cut()
    stack.gates.open("away.1", "away.2")
    stack.wait_for_state(run_id, "succeeded")
    window.mend()

    expect(page.locator("live-run")).to_have_attribute("data-state", "succeeded", timeout=EXACT_S * 1000)
    until(lambda: window.read_run() == window.read_fresh_run(), "the page to equal a fresh one", EXACT_S)


def test_a_restart_of_the_web_server_is_over_without_a_reload(stack: Stack, visitor: Callable[..., Visitor]) -> None:
    window = visitor("clerk")
    page = window.go("/live/")
    page.evaluate("window.sameDocument = true")

    exit_code = stack.stop("web")
    try:
        run_id = stack.send("journey.add", 1, 1, owner="clerk")
        expect(page.locator("live-connection")).not_to_have_attribute("data-state", "live")
    finally:
        stack.start("web")
    assert exit_code == 0

    stack.wait_for_state(run_id, "succeeded")
    window.wait_until_live()
    window.wait_until_exact(EXACT_S)
    assert run_id in window.states()
    assert page.evaluate("window.sameDocument")
