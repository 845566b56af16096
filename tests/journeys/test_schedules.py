"""Scheduled runs appear by themselves, and what a person changes in the admin holds, over a restart of beat too."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.harness.browsing import Visitor
from tests.harness.live_socket import LiveSocket
from tests.harness.stack import MakeStack, Stack
from tests.harness.wait import until

NAME = "every second"
#: A change takes effect within 6 s; the rest is room for a busy machine.
EFFECT_S = 15


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """A stack with beat, whose one entry is due every second."""
    return make_stack("web", "worker", "beat")


@pytest.fixture(autouse=True)
def as_seeded(stack: Stack) -> None:
    """Each journey begins with the entry as it was seeded, and with beat at work."""
    stack.ask("set_schedule", NAME, enabled=True, args="[16, 16]")
    if not stack.processes["beat"].alive:
        stack.start("beat")


def open_entry(window: Visitor) -> Page:
    """Open the entry's form in the admin, as a person finds it."""
    page = window.page
    page.goto("/admin/django_celery_beat/periodictask/")
    page.get_by_role("link", name=NAME).first.click()
    return page


def save(page: Page) -> None:
    """Save the form and wait for the admin to say so."""
    page.locator("input[name=_save]").click()
    expect(page.locator(".messagelist .success")).to_be_visible()


def newest_arguments(stack: Stack) -> list[int]:
    """Return the arguments of the newest run of the entry."""
    rows = stack.ask("page", "admin", 1, schedule=NAME)
    return list(json.loads(rows[0]["args"])) if rows else []


def test_a_scheduled_run_appears_by_itself(stack: Stack, visitor: Callable[..., Visitor]) -> None:
    window = visitor("admin")
    page = window.go(f"/live/?schedule={quote(NAME)}")
    before = set(window.states())

    new = until(lambda: set(window.states()) - before, "a scheduled run to appear", EFFECT_S, stack.tails).pop()

    result = stack.wait_for_state(new, "succeeded")["result"]
    row = page.locator(f"tbody [data-run-id='{new}']")
    expect(row.locator("[data-field=task]")).to_contain_text("multiply_two_numbers")
    expect(row.locator("[data-field=how]")).to_contain_text(NAME)
    expect(row).to_have_attribute("data-state", "succeeded")
    expect(row.locator("[data-field=outcome]")).to_contain_text(result)


def test_a_scheduled_run_says_its_kind_its_schedule_and_no_owner(stack: Stack, socket: LiveSocket) -> None:
    socket.subscribe(filter={"schedule": NAME})

    socket.wait_for(lambda frame: frame["type"] == "changes" and frame["runs"], EFFECT_S)

    row = next(iter(socket.rows.values()))
    assert (row["kind"], row["schedule"], row["owner"]) == ("scheduled", NAME, "")


def test_a_change_in_the_admin_takes_effect_and_survives_a_restart_of_beat(
    stack: Stack, visitor: Callable[..., Visitor]
) -> None:
    page = open_entry(visitor("admin"))
    arguments = page.locator("[name=args]")
    if not arguments.is_visible():
        page.locator("summary, .collapse-toggle").first.click()
    arguments.fill("[7, 6]")
    save(page)

    until(lambda: newest_arguments(stack) == [7, 6], "a run with the new arguments", EFFECT_S, stack.tails)
    stack.stop("beat")
    sent_before = stack.ask("states", schedule=NAME)
    stack.start("beat")
    until(lambda: stack.ask("states", schedule=NAME) != sent_before, "beat to send again", EFFECT_S, stack.tails)

    assert newest_arguments(stack) == [7, 6]
    assert stack.ask("schedule", NAME)["args"] == "[7, 6]"


def test_a_pause_in_the_admin_takes_effect_and_survives_a_restart_of_beat(
    stack: Stack, visitor: Callable[..., Visitor]
) -> None:
    page = open_entry(visitor("admin"))
    page.locator("[name=enabled]").uncheck()
    save(page)

    def is_paused() -> bool:
        """Beat has read the entries anew since, and the marker that was saved after the pause runs."""
        return bool(stack.ask("states", schedule="marker"))

    stack.ask("add_schedule", "marker", "journey.add", [1, 1])
    until(is_paused, "beat to read the entries anew", EFFECT_S, stack.tails)
    count = len(stack.ask("page", "admin", 200, schedule=NAME))
    stack.stop("beat")
    markers = stack.ask("states", schedule="marker")
    stack.start("beat")
    until(lambda: stack.ask("states", schedule="marker") != markers, "beat to send again", EFFECT_S, stack.tails)

    assert len(stack.ask("page", "admin", 200, schedule=NAME)) == count
    assert stack.ask("schedule", NAME)["enabled"] is False
