"""A user with a browser: opens pages, reads what is on them, and is cut off from the network when a journey says so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Browser, Page, expect

from tests.harness.wait import until

if TYPE_CHECKING:
    from tests.harness.stack import Stack

ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
]
TIMEOUT_MS = 20_000

#: Everything a list says, but for the times that tick.
_READ_LIST = """() => ({
  rows: [...document.querySelectorAll("tbody[data-rows] > tr[data-run-id]")].map((row) => ({
    id: row.dataset.runId,
    state: row.dataset.state,
    bar: row.querySelector("progress:not([hidden])")?.position ?? null,
    fields: Object.fromEntries([...row.querySelectorAll("[data-field]")]
      .filter((slot) => !["LIVE-TIME", "PROGRESS"].includes(slot.tagName))
      .map((slot) => [slot.dataset.field, slot.textContent.trim()])),
  })),
  counts: Object.fromEntries([...document.querySelectorAll("[data-count]")]
    .map((slot) => [slot.dataset.count, slot.textContent.trim()])),
})"""

#: Everything a run's page says, but for the times that tick.
_READ_RUN = """() => Object.fromEntries([...document.querySelectorAll("live-run [data-field]")]
  .filter((slot) => !["LIVE-TIME", "PROGRESS"].includes(slot.tagName))
  .map((slot, place) => [`${place} ${slot.dataset.field}`, slot.textContent.trim()]))"""


class Visitor:
    """A logged-in user with one window. `errors` are the uncaught errors of all pages they saw."""

    def __init__(self, browser: Browser, stack: Stack, username: str) -> None:
        self.stack = stack
        self.username = username
        self.context = browser.new_context(base_url=stack.origin)
        self.context.set_default_timeout(TIMEOUT_MS)
        self.session_key = stack.ask("log_in", username)
        self.context.add_cookies([{"name": "sessionid", "value": self.session_key, "url": stack.origin}])
        self.errors: list[str] = []
        self.page = self._new_page()

    def go(self, address: str) -> Page:
        """Open an address and wait until the page says that it is live."""
        self.page.goto(address)
        self.wait_until_live()
        return self.page

    def wait_until_live(self) -> None:
        """Return once the page's own words for its connection say that it is live."""
        expect(self.page.locator("live-connection").first).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)

    def read_list(self) -> dict[str, Any]:
        """Return the rows and counts that the page shows."""
        return dict(self.page.evaluate(_READ_LIST))

    def states(self) -> dict[str, str]:
        """Return the states that the list shows, by id."""
        return {row["id"]: row["state"] for row in self.read_list()["rows"]}

    def wait_until_exact(self, seconds: float) -> None:
        """Return once the page, kept live, shows what the database holds and what a fresh page shows."""

        def is_exact() -> bool:
            rows = self.stack.ask("page", self.username)
            return self.states() == {row["id"]: row["state"] for row in rows}

        until(is_exact, "the list to equal the database", seconds, self._difference)
        until(lambda: self.read_list() == self.read_fresh_list(), "the list to equal a fresh one", 5, self._difference)

    def read_fresh_list(self) -> dict[str, Any]:
        """Return what the server draws now at this address, without any JavaScript."""
        return self._read_fresh(_READ_LIST)

    def read_run(self) -> dict[str, str]:
        """Return the fields that a run's page shows."""
        return dict(self.page.evaluate(_READ_RUN))

    def read_fresh_run(self) -> dict[str, str]:
        """Return what the server draws now of this run, without any JavaScript."""
        return self._read_fresh(_READ_RUN)

    def cut(self) -> None:
        """Pull the network cable, open sockets included."""
        self.context.set_offline(True)

    def mend(self) -> None:
        """Put the cable back."""
        self.context.set_offline(False)

    def close(self) -> None:
        """Close the window; an uncaught error on any page is a failure."""
        self.context.close()
        assert self.errors == []

    def _new_page(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def _read_fresh(self, script: str) -> dict[str, Any]:
        assert self.context.browser
        drawn = self.context.request.get(self.page.url).text()
        other = self.context.browser.new_context(java_script_enabled=False)
        try:
            page = other.new_page()
            page.set_content(drawn)
            return dict(page.evaluate(script))
        finally:
            other.close()

    def _difference(self) -> str:
        rows = {row["id"]: row["state"] for row in self.stack.ask("page", self.username)}
        shown = self.states()
        wrong = {run_id: (shown.get(run_id), rows.get(run_id)) for run_id in {*shown, *rows}}
        return f"Shown and recorded differ: { {key: pair for key, pair in wrong.items() if pair[0] != pair[1]} }"
