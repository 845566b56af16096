"""The stacks and the browser of the journeys."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.harness import browsing, need
from tests.harness.databases import Databases
from tests.harness.live_socket import LiveSocket
from tests.harness.stack import MakeStack, Stack, environment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each journey has a limit of its own: a start of all processes is part of the first."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(300), append=False)


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Fresh databases, migrated once."""
    found = Databases(tmp_path_factory.mktemp("databases"), environment())
    yield found
    found.close()


@contextlib.contextmanager
def _making(databases: Databases, directories: pytest.TempPathFactory) -> Iterator[MakeStack]:
    made: list[Stack] = []

    def make(*names: str, **settings: Any) -> Stack:
        stack = Stack(directories.mktemp("stack"), databases.fresh(), **settings)
        made.append(stack)
        stack.ask("make_user", "admin", superuser=True)
        stack.ask("make_user", "clerk", role="clerk")
        stack.ask("make_user", "other", role="clerk")
        return stack.start(*names)

    try:
        yield make
    finally:
        for stack in made:
            stack.close()


@pytest.fixture(scope="module")
def make_stack(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStack]:
    """Make stacks: `make_stack("web", "worker", LIVE_LEASE_S=2)`. They end with the module."""
    with _making(databases, tmp_path_factory) as make:
        yield make


@pytest.fixture(scope="session")
def shared_stack(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all journeys that break nothing: a start takes seconds."""
    with _making(databases, tmp_path_factory) as make:
        yield make("web", "worker", LIVE_RECHECK_S=2)


@pytest.fixture(scope="module")
def stack(shared_stack: Stack) -> Stack:
    """A stack with web server and worker; a module whose journeys break something overrides this with its own."""
    return shared_stack


@pytest.fixture
def socket(stack: Stack) -> Iterator[LiveSocket]:
    """A socket of `admin`, who sees all runs; nothing is subscribed yet."""
    with LiveSocket(stack.origin, stack.ask("log_in", "admin")) as socket:
        yield socket


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. It ends with the module: while it runs, no asyncio test can run in this thread."""
    executable = need.chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=browsing.ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visitor(browser: Browser, stack: Stack) -> Iterator[Callable[..., browsing.Visitor]]:
    """Log users in, each in a browser window of their own: `visitor("clerk")`."""
    made: list[browsing.Visitor] = []

    def visit(username: str = "admin") -> browsing.Visitor:
        made.append(browsing.Visitor(browser, stack, username))
        return made[-1]

    yield visit
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let no task of one journey stand in the way of the next, and print the logs' ends beside a failed one."""
    yield
    stack = request.node.funcargs.get("stack")
    if stack is None:
        return
    stack.gates.open_all()
    report = getattr(request.node, "call_report", None)
    if report is not None and report.failed:
        print(stack.tails())  # noqa: T201


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let the fixture above know how the journey went."""
    report = yield
    if report.when == "call":
        item.call_report = report  # type: ignore[attr-defined]
    return report
