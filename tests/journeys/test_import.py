"""A clerk imports a file of purchases: uploads it, sees the bar move, and gets counts that are right to the cent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.billing import files
from tests.harness.browsing import Visitor
from tests.harness.stack import Stack
from tests.harness.wait import until

Visit = Callable[..., Visitor]
#: The promise is 60 s on SQLite; a journey shares the machine with a browser.
IMPORT_S = 110

SOME_BROKEN = (
    files.CSV_HEADER
    + b"1,1997-01-01,2,10.00,two discs\n"
    + b"2,not a day,1,5.00,never\n"
    + b"3,1997-01-03,1,2.50,<b>one disc</b>\n"
)


def upload(window: Visitor, content: bytes, name: str) -> Page:
    """Choose a file on the upload page and press the button."""
    page = window.page
    page.goto("/billing/imports/")
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/plain", "buffer": content})
    page.get_by_role("button", name="Import").click()
    return page


def fact(page: Page, name: str):  # type: ignore[no-untyped-def]
    """Return one of the figures on an import's page."""
    return page.locator(f"dl.facts [data-fact={name}]")


@pytest.mark.timeout(300)
def test_the_cdnow_file_is_uploaded_and_billed_before_the_clerks_eyes(
    stack: Stack, visitor: Visit, request: pytest.FixtureRequest
) -> None:
    facts = files.cdnow()
    if not facts.is_real:
        request.node.add_report_section("call", "note", "The CDNOW file is not there; a made-up one was imported.")
    window = visitor("clerk")

    page = upload(window, facts.content, "CDNOW_master.txt")

    bar = page.locator("live-run progress[data-field=bar]")
    expect(bar).to_be_visible(timeout=30_000)
    positions: set[float] = set()

    def has_moved() -> bool:
        positions.add(round(bar.evaluate("bar => bar.position"), 2))
        return len({position for position in positions if 0 < position < 1}) >= 3

    until(has_moved, "the bar to move", IMPORT_S, lambda: f"It stood at {sorted(positions)}.")
    expect(fact(page, "state")).to_have_text("succeeded", timeout=IMPORT_S * 1000)
    expect(fact(page, "charges")).to_have_text(f"{facts.charges:,}")
    expect(fact(page, "total")).to_contain_text(f"{facts.amount:,.2f}")
    expect(fact(page, "rejected")).to_have_text("0")
    assert stack.ask("query", "SELECT COUNT(*) FROM billing_charge")[0][0] >= facts.charges
    run = stack.ask("page", "clerk", 1, task="billing.import_charges")[0]
    assert (run["state"], run["owner"]) == ("succeeded", "clerk")
    assert "CDNOW_master.txt" in run["title"]

    charges = stack.ask("query", "SELECT COUNT(*) FROM billing_charge")
    upload(window, facts.content, "the same by another name.txt")

    expect(page.get_by_text("was uploaded before")).to_be_visible()
    assert stack.ask("query", "SELECT COUNT(*) FROM billing_charge") == charges


def test_a_broken_line_is_rejected_and_named_and_the_file_is_not(stack: Stack, visitor: Visit) -> None:
    page = upload(visitor("clerk"), SOME_BROKEN, "march.csv")

    expect(fact(page, "state")).to_have_text("succeeded", timeout=30_000)
    expect(fact(page, "charges")).to_have_text("2")
    expect(fact(page, "rejected")).to_have_text("1")
    row = page.locator("table.rejected tbody tr")
    expect(row).to_have_count(1)
    expect(row.locator("td").first).to_have_text("3")
    expect(row).to_contain_text("not a day")


def test_a_page_that_was_drawn_while_its_run_ended_loads_again_once(stack: Stack, visitor: Visit) -> None:
    page = upload(visitor("clerk"), SOME_BROKEN + b"4,1997-01-04,1,1.00,more\n", "drawn.csv")
    expect(fact(page, "state")).to_have_text("succeeded", timeout=30_000)
    drawn: list[str] = []

    def draw(route: Route) -> None:
        drawn.append(route.request.url)
        state = "running" if len(drawn) == 1 else "succeeded"
        stack.ask("query", f"UPDATE billing_chargeimport SET state = '{state}' WHERE name = 'drawn.csv' RETURNING id")
        route.continue_()

    page.route(page.url, draw)
    page.goto(page.url)

    expect(fact(page, "state")).to_have_text("succeeded", timeout=30_000)
    assert len(drawn) == 2


def test_an_import_whose_process_is_killed_ends_exact(stack: Stack, visitor: Visit) -> None:
    facts = files.same_shape(20_000)
    page = upload(visitor("clerk"), facts.content, "killed.txt")
    expect(page.locator("live-run")).to_have_attribute("data-state", "running", timeout=30_000)
    run_id = page.locator("live-run").get_attribute("data-run-id")

    stack.ask("kill_pool_process", run_id)

    expect(fact(page, "state")).to_have_text("succeeded", timeout=60_000)
    expect(fact(page, "charges")).to_have_text(f"{facts.charges:,}")
    expect(fact(page, "total")).to_contain_text(f"{facts.amount:,.2f}")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("empty.csv", b"", "empty"), ("picture.png", b"\x89PNG\r\n\x1a\n\x00\x00", "text")],
)
def test_what_is_no_file_of_purchases_is_refused_on_the_page(
    name: str, content: bytes, words: str, visitor: Visit
) -> None:
    page = upload(visitor("clerk"), content, name)

    expect(page.locator(".errorlist")).to_contain_text(words)


def test_a_clerk_finds_no_import_of_another(stack: Stack, visitor: Visit) -> None:
    page = upload(visitor("clerk"), files.CSV_HEADER + b"9,1997-01-01,1,1.00,mine\n", "mine.csv")
    expect(fact(page, "state")).to_have_text("succeeded", timeout=30_000)

    other = visitor("other")
    answer = other.page.goto(page.url)

    assert answer is not None and answer.status == 404
    other.page.goto("/billing/imports/")
    expect(other.page.get_by_text("mine.csv")).to_have_count(0)


def test_the_upload_page_keeps_its_file_where_only_the_server_reads_it(stack: Stack, visitor: Visit) -> None:
    page = upload(visitor("clerk"), files.CSV_HEADER + b"8,1997-01-01,1,1.00,kept\n", "kept.csv")
    expect(fact(page, "state")).to_have_text("succeeded", timeout=30_000)

    kept = [path for path in Path(stack.directory).rglob("*") if path.is_file() and "imports" in path.parts]

    assert kept
    for path in kept:
        answer = page.request.get(f"/media/{path.relative_to(stack.directory / 'media')}")
        assert answer.status == 404
