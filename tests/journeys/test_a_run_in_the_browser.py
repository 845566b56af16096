"""A run's life, watched in a browser: on the list, on its own page, and as text whatever it is called."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.harness.browsing import Visitor
from tests.harness.stack import Stack
from tests.harness.tasks import HOSTILE
from tests.harness.wait import until

Visit = Callable[..., Visitor]


def row_of(page: Page, run_id: str):  # type: ignore[no-untyped-def]
    """Return the run's row on the list."""
    return page.locator(f"tbody [data-run-id='{run_id}']")


def expect_bar(where, current: int, total: int) -> None:  # type: ignore[no-untyped-def]
    """The bar stands at current of total."""
    bar = where.locator("progress[data-field=bar]")
    expect(bar).to_be_visible()
    until(
        lambda: abs(bar.evaluate("bar => bar.position") - current / total) < 0.01, f"the bar at {current}/{total}", 10
    )


def test_a_run_goes_from_queued_over_a_moving_bar_to_succeeded_on_the_list(stack: Stack, visitor: Visit) -> None:
    # Two run, and two more the worker takes ahead: the next one waits in the queue.
    busy = [stack.send("journey.wait", "list-busy") for _ in range(4)]
    stack.gates.wait_for_arrival("list-busy", times=2)
    window = visitor("clerk")
    page = window.go("/live/")

    run_id = stack.send("journey.steps", "list", owner="clerk", title="Import of march.txt")

    row = row_of(page, run_id)
    expect(row).to_have_attribute("data-state", "queued")
    expect(row.locator("[data-field=title]")).to_have_text("Import of march.txt")
    stack.gates.open("list-busy")
    expect(row).to_have_attribute("data-state", "running")
    for step in range(1, 5):
        stack.gates.wait_for_arrival(f"list.{step}")
        expect_bar(row, step - 1, 4)
        stack.gates.open(f"list.{step}")
    expect(row).to_have_attribute("data-state", "succeeded")
    expect(row.locator("[data-field=outcome]")).to_contain_text("4 steps")
    window.wait_until_exact(5)
    for other in busy:
        stack.wait_for_state(other, "succeeded")


def test_the_page_of_a_run_shows_its_bar_message_and_result_as_they_come(stack: Stack, visitor: Visit) -> None:
    run_id = stack.send("journey.steps", "page", owner="clerk")
    stack.wait_for_state(run_id, "running")
    window = visitor("clerk")
    page = window.go(f"/live/runs/{run_id}/")
    run = page.locator("live-run")

    for step in range(1, 5):
        expect_bar(run, step - 1, 4)
        expect(run.locator("[data-field=message]")).to_have_text("begun" if step == 1 else f"step {step - 1} done")
        stack.gates.open(f"page.{step}")

    expect(run).to_have_attribute("data-state", "succeeded")
    expect(run.locator("[data-field=result]")).to_contain_text("4 steps")
    until(lambda: window.read_run() == window.read_fresh_run(), "the page to equal a fresh one", 10)


def test_a_failed_run_shows_its_error_and_traceback(stack: Stack, visitor: Visit) -> None:
    window = visitor("clerk")
    page = window.go("/live/")

    run_id = stack.send("journey.fail", "no such charge: 17", owner="clerk")

    expect(row_of(page, run_id)).to_have_attribute("data-state", "failed")
    row_of(page, run_id).locator("[data-field=title]").click()
    expect(page.locator("live-run [data-field=error]").first).to_contain_text("no such charge: 17")
    expect(page.locator("live-run [data-field=traceback]")).to_contain_text("in fail")


def test_the_tries_of_a_run_appear_on_its_open_page(stack: Stack, visitor: Visit) -> None:
    run_id = stack.send("journey.retry", 2, "tries", owner="clerk")
    stack.gates.wait_for_arrival("tries.1")
    stack.wait_for_state(run_id, "running")
    window = visitor("clerk")
    page = window.go(f"/live/runs/{run_id}/")
    attempts = page.locator("tbody[data-attempts] > tr")
    expect(attempts).to_have_count(1)

    stack.gates.open("tries.1", "tries.2", "tries.3")

    expect(attempts).to_have_count(3)
    expect(page.locator("live-run")).to_have_attribute("data-state", "succeeded")
    expect(attempts.nth(0)).to_contain_text("the bank is closed")
    until(lambda: window.read_run() == window.read_fresh_run(), "the page to equal a fresh one", 10)


def test_hostile_text_stays_text(stack: Stack, visitor: Visit) -> None:
    window = visitor("clerk")
    page = window.go("/live/")

    ids = [stack.send("journey.hostile", HOSTILE, fails, owner="clerk", title=HOSTILE) for fails in (False, True)]

    for run_id, state in zip(ids, ("succeeded", "failed"), strict=True):
        expect(row_of(page, run_id)).to_have_attribute("data-state", state)
        expect(row_of(page, run_id).locator("[data-field=title]")).to_contain_text("<script>window.hacked=1</script>")
    assert page.evaluate("window.hacked") is None
    assert page.locator("tbody[data-rows] img, tbody[data-rows] script").count() == 0
    window.wait_until_exact(5)
    for run_id in ids:
        window.go(f"/live/runs/{run_id}/")
        assert page.evaluate("window.hacked") is None
        assert page.locator("live-run img, live-run script").count() == 0
        expect(page.locator("live-run h1")).to_contain_text("<img src=x")
        expect(page.locator("live-run [data-field=args]")).to_contain_text("<img src=x")


#: Puts boxes of so many runs onto the page, as `{% live_run %}` draws them, and then two more of the first run.
_ADD_BOXES = """(ids) => document.querySelector("main").append(...[...ids, ids[0], ids[0]].map((id) => {
  const box = document.createElement("live-run");
  const words = document.createElement("live-connection");
  box.dataset.runId = id;
  box.append(document.createElement("output"), words);
  box.firstChild.dataset.field = "state";
  words.append(document.createElement("span"));
  words.firstChild.dataset.words = "";
  return box;
}))"""


def test_of_more_boxes_than_a_page_follows_the_first_are_live_and_the_rest_say_that_they_are_not(
    stack: Stack, visitor: Visit
) -> None:
    run_id = stack.send("journey.wait", "boxes", owner="clerk")
    stack.gates.wait_for_arrival("boxes")
    page = visitor("clerk").go("/live/?page=2")

    page.evaluate(_ADD_BOXES, [run_id, *(f"none-{number}" for number in range(149))])

    boxes, refused = page.locator("main live-run"), page.locator("main live-run live-connection[data-refused]")
    expect(page.locator(f"live-run[data-run-id='{run_id}'] output")).to_have_text(["running"] * 3)
    assert boxes.count() == 152
    beyond = refused.count()
    assert 70 <= beyond < 80, "the list follows runs of its own"
    expect(refused.last).to_contain_text("not live")
    expect(page.locator("live-connection").first).to_have_attribute("data-state", "live")
    stack.gates.open("boxes")
    expect(page.locator(f"live-run[data-run-id='{run_id}'] output")).to_have_text(["succeeded"] * 3)
    page.evaluate("[...document.querySelectorAll('main live-run')].slice(0, 40).forEach((box) => box.remove())")
    expect(refused).to_have_count(beyond - 39, timeout=30_000)


def test_the_pages_are_complete_without_javascript(stack: Stack, visitor: Visit) -> None:
    run_id = stack.send("journey.add", 20, 22, owner="clerk")
    stack.wait_for_state(run_id, "succeeded")
    window = visitor("clerk")

    window.page.goto("/live/")
    fresh = {row["id"]: row for row in window.read_fresh_list()["rows"]}
    window.page.goto(f"/live/runs/{run_id}/")
    run = {name.split(" ", 1)[1]: text for name, text in window.read_fresh_run().items()}

    assert fresh[run_id]["state"] == "succeeded"
    assert "42" in fresh[run_id]["fields"]["outcome"]
    assert "42" in run["result"]
