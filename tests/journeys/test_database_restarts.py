"""The database server is restarted in the middle of an invoice run: each charge is billed once, and the run ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from playwright.sync_api import Error, Page

from scripts.postgres_server import RunningPostgres
from tests.harness import need
from tests.harness.browsing import Visitor
from tests.harness.databases import Databases
from tests.harness.stack import Stack, environment
from tests.harness.wait import until

CUSTOMERS = 4_000
#: So many invoices are there when the server goes, each time.
MOMENTS = (300, 1_500)
#: Attempts are up to 32 s apart.
END_S = 180


@pytest.fixture(scope="module")
def server() -> Iterator[RunningPostgres]:
    """A PostgreSQL of its own: other tests would not bear this, and a restart is nothing to SQLite."""
    server = need.own_postgres()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stack(server: RunningPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Web server and worker on that PostgreSQL, and customers with two charges each."""
    databases = Databases(tmp_path_factory.mktemp("databases"), environment(), server.url)
    stack = Stack(tmp_path_factory.mktemp("stack"), databases.fresh())
    try:
        stack.ask("make_user", "admin", superuser=True)
        stack.manage("shell", "-c", f"from tests.billing import trade; trade.make_customers({CUSTOMERS})")
        yield stack.start("web", "worker")
    finally:
        stack.close()
        databases.close()


def ask_database(stack: Stack, statement: str) -> list[tuple[object, ...]]:
    """Return the rows of a statement."""
    with psycopg.connect(stack.env["DATABASE_URL"]) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


def begin(page: Page) -> None:
    """Plan an invoice run and confirm it."""
    page.goto("/billing/invoice-runs/")
    page.get_by_label("From").fill("2026-03-01")
    page.get_by_label("To", exact=True).fill("2026-03-31")
    page.get_by_role("button", name="Show the plan").click()
    page.get_by_role("button", name=re.compile("^Bill ")).click()
    page.locator(".whole[data-state=running]").wait_for()


def succeeded(page: Page) -> bool:
    """Look at the run's page again, and do what it offers when it says that the run cannot go on by itself."""
    try:
        page.reload()
        again = page.locator("form[action$='/retry/'] button")
        if again.count():
            again.click()
        return page.locator(".whole[data-state=succeeded]").count() == 1
    except Error:
        return False  # the page, which is live, was loading itself again


def test_an_invoice_run_goes_on_when_the_database_is_back(
    stack: Stack, server: RunningPostgres, visitor: Callable[..., Visitor]
) -> None:
    page = visitor("admin").page
    begin(page)

    for count in MOMENTS:
        until(lambda enough=count: ask_database(stack, COUNT)[0][0] >= enough, f"{count} invoices", 60, stack.tails)
        server.kill()
        server.start_again()
        assert count <= ask_database(stack, COUNT)[0][0] < CUSTOMERS

    until(lambda: succeeded(page), "the invoice run to succeed", END_S, stack.tails)
    assert ask_database(stack, LINES) == [(2 * CUSTOMERS, 2 * CUSTOMERS, 2_000 * CUSTOMERS)]
    assert ask_database(stack, INVOICES) == [(CUSTOMERS, CUSTOMERS, 2_000 * CUSTOMERS)]
    numbers = [str(number) for (number,) in ask_database(stack, "SELECT number FROM billing_invoice ORDER BY number")]
    assert [int(number[5:]) for number in numbers] == list(range(1, CUSTOMERS + 1))


COUNT = "SELECT count(*) FROM billing_invoice"
INVOICES = "SELECT count(*), count(DISTINCT customer_id), sum(net) FROM billing_invoice"
#: Sums are in cents.
LINES = "SELECT count(*), count(DISTINCT charge_id), sum(net) FROM billing_invoiceline WHERE NOT released"
