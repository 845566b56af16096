"""The live boxes on billing's pages: drawn for who may see the run, and a sentence for everybody else."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from billing.models import InvoiceRun, InvoiceRunPart
from tests.billing import trade

pytestmark = pytest.mark.django_db

HIDDEN, WAITING = "The run is not yours", "waiting for news"


@pytest.fixture
def address(manager: Any) -> str:
    """The page of an invoice run whose two parts are under way."""
    run = InvoiceRun.objects.create(
        period_start=trade.START, period_end=trade.END, cut_off=trade.CUT_OFF, created_by=manager, state="running",
        run_id="the-run",
    )  # fmt: skip
    for number in range(2):
        InvoiceRunPart.objects.create(
            invoice_run=run, number=number, first_customer_id=1, last_customer_id=1, customer_count=1,
            run_id=f"part-{number}",
        )  # fmt: skip
    return run.get_absolute_url()


def shown(client: Client, user: Any, address: str) -> tuple[int, int, bool]:
    """How many sentences and boxes a user sees, and whether the page links to the run."""
    client.force_login(user)
    text = client.get(address).text
    return text.count(HIDDEN), text.count("<live-run"), 'href="/live/runs/the-run/">the-run' in text


def test_whose_run_it_is_sees_it_live_and_nobody_else_waits_for_news_of_it(
    client: Client, address: str, make_run: Any, clerk: Any, manager: Any, operator: Any
) -> None:
    for run_id in ("the-run", "part-0", "part-1"):
        make_run("running", id=run_id, owner="manager")
    operator.groups.set(manager.groups.all())

    assert shown(client, manager, address) == (0, 2, True)
    assert shown(client, operator, address) == (0, 2, True)
    assert shown(client, clerk, address) == (1, 0, False)


def test_a_run_of_nobody_s_is_hidden_from_who_sees_own_ones_only(
    client: Client, address: str, make_run: Any, clerk: Any
) -> None:
    make_run("running", id="the-run", owner="")

    assert shown(client, clerk, address) == (1, 0, False)


def test_a_run_that_is_not_recorded_yet_is_waited_for(client: Client, address: str, clerk: Any) -> None:
    assert shown(client, clerk, address) == (0, 2, True)
    assert WAITING in client.get(address).text
