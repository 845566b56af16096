"""A click is never taken away: while somebody points at the list, marks or has scrolled it, no row moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.harness.browsing import Visitor
from tests.harness.stack import Stack

Visit = Callable[..., Visitor]
PAGE_ROWS = 50


def rows(page: Page) -> Locator:
    return page.locator("tbody[data-rows] > tr")


def row_of(page: Page, run_id: str) -> Locator:
    return page.locator(f"tbody[data-rows] > tr[data-run-id='{run_id}']")


@pytest.fixture
def window(stack: Stack, visitor: Visit) -> Visitor:
    """The clerk's list with some rows, live, with the pointer away from it."""
    for number in range(3):
        stack.wait_for_state(stack.send("journey.add", number, 1, owner="clerk"), "succeeded")
    window = visitor("clerk")
    window.go("/live/")
    window.page.mouse.move(1, 1)
    return window


def point_at_the_rows(page: Page) -> None:
    rows(page).first.locator("[data-field=title]").hover()


def focus_a_row(page: Page) -> None:
    rows(page).first.locator("a").focus()


def select_in_a_row(page: Page) -> None:
    page.evaluate("getSelection().selectAllChildren(document.querySelector('tbody[data-rows] [data-field=title]'))")


def scroll(page: Page) -> None:
    page.set_viewport_size({"width": 1000, "height": 300})
    page.mouse.wheel(0, 40)
    page.wait_for_function("scrollY > 0")


@pytest.mark.parametrize("hold", [point_at_the_rows, focus_a_row, select_in_a_row, scroll])
def test_new_runs_wait_while_somebody_has_a_hand_on_the_list(
    stack: Stack, window: Visitor, hold: Callable[[Page], None]
) -> None:
    page = window.page
    hold(page)
    place, ids = rows(page).first.bounding_box(), list(window.states())

    new = [stack.send("journey.add", number, 2, owner="clerk") for number in range(3)]

    expect(page.locator("[data-news]")).to_have_text("3 new")
    assert rows(page).first.bounding_box() == place
    assert list(window.states()) == ids

    page.locator("[data-news]").click()

    expect(rows(page)).to_have_count(min(len(ids) + 3, PAGE_ROWS))
    assert list(window.states())[:3] == new[::-1]
    expect(page.locator("[data-news]")).to_be_hidden()


def test_new_runs_come_in_by_themselves_once_the_pointer_leaves(stack: Stack, window: Visitor) -> None:
    page = window.page
    point_at_the_rows(page)
    new = stack.send("journey.add", 1, 2, owner="clerk")
    expect(page.locator("[data-news]")).to_have_text("1 new")

    page.mouse.move(1, 1)

    expect(rows(page).first).to_have_attribute("data-run-id", new)


def test_a_row_under_the_pointer_changes_in_place(stack: Stack, window: Visitor) -> None:
    page = window.page
    run_id = stack.send("journey.wait", "in place", owner="clerk")
    expect(row_of(page, run_id)).to_have_attribute("data-state", "running")
    row_of(page, run_id).hover()
    place = row_of(page, run_id).bounding_box()

    stack.gates.open("in place")

    expect(row_of(page, run_id)).to_have_attribute("data-state", "succeeded")
    assert row_of(page, run_id).bounding_box() == place


def test_a_row_that_leaves_the_list_under_the_pointer_fades_and_goes_later(stack: Stack, window: Visitor) -> None:
    run_id = stack.send("journey.wait", "leaves", owner="clerk")
    stack.wait_for_state(run_id, "running")
    page = window.go("/live/?state=running")
    row_of(page, run_id).hover()

    stack.gates.open("leaves")

    expect(row_of(page, run_id)).to_have_attribute("data-gone", "")
    page.mouse.move(1, 1)
    expect(row_of(page, run_id)).to_have_count(0)
    expect(page.locator("[data-empty]")).to_be_visible()


def test_rows_beyond_the_first_page_stay_live(stack: Stack, visitor: Visit) -> None:
    run_id = stack.send("journey.wait", "second page", owner="other")
    stack.wait_for_state(run_id, "running")
    newer = stack.ask("send", "journey.add", [1, 1], owner="other", times=50)
    for each in newer:
        stack.wait_for_state(each, "succeeded", "queued", "received")
    window = visitor("other")
    page = window.go("/live/?page=2")
    expect(row_of(page, run_id)).to_have_attribute("data-state", "running")
    before = rows(page).count()

    stack.gates.open("second page")

    expect(row_of(page, run_id)).to_have_attribute("data-state", "succeeded")
    expect(rows(page)).to_have_count(before)


def test_a_page_is_told_once_when_the_run_that_it_shows_ends(stack: Stack, visitor: Visit) -> None:
    run_id = stack.send("journey.wait", "ended", owner="clerk")
    stack.wait_for_state(run_id, "running")
    page = visitor("clerk").go(f"/live/runs/{run_id}/")
    page.evaluate("window.ends = []; document.addEventListener('live:ended', (event) => ends.push(event.detail.state))")

    stack.gates.open("ended")

    expect(page.locator("live-run")).to_have_attribute("data-state", "succeeded")
    assert page.evaluate("ends") == ["succeeded"]
    page.reload()
    expect(page.locator("live-connection")).to_have_attribute("data-state", "live")
    assert page.evaluate("window.ends") is None
