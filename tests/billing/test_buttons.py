"""Nobody is shown a link or a button that refuses them: each role's pages, walked from the first link to the last."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.db import transaction
from django.test import Client
from django.urls import resolve
from django.utils import timezone

from billing.models import (
    BankImport,
    BankLine,
    Charge,
    ChargeImport,
    Customer,
    Invoice,
    InvoiceRun,
    LedgerExport,
    Mail,
    NumberSequence,
)
from billing.services import invoice_runs, invoicing
from tests.billing import trade
from tests.billing.office import RUN, fill

pytestmark = pytest.mark.django_db

#: Whose buttons lead where, by the names of the addresses.
CLERK = {
    "bank_import", "bank_imports", "bank_line", "charge_add", "customer_add", "customer_draft", "customer_edit",
    "import_start", "imports", "invoice_discard", "invoice_dispute", "invoice_issue", "invoice_pay", "invoice_pdf",
    "invoice_run_send", "invoice_runs", "invoice_send", "ledger_export", "ledger_exports", "mail_decide",
}  # fmt: skip
MANAGER = CLERK | {"invoice_run_confirm", "invoice_run_retry", "invoice_void"}


class Page(HTMLParser):
    """The links of a page, and for each button of a form that posts where it posts what."""

    def __init__(self, address: str, text: str) -> None:
        super().__init__()
        self.address = address
        self.links: list[str] = []
        self.buttons: list[tuple[str, dict[str, str]]] = []
        self._form: tuple[str, dict[str, str]] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link, a form, one of its fields, or a button."""
        given = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(urljoin(self.address, given.get("href", "")))
        elif tag == "form":
            is_ours = given.get("method") == "post" and not given.get("action", "").startswith("/accounts/")
            self._form = (urljoin(self.address, given.get("action", "")), {}) if is_ours else None
        elif self._form and "name" in given and tag == "input":
            self._form[1][given["name"]] = given.get("value", "")
        elif self._form and tag == "button":
            address, fields = self._form
            self.buttons.append((address, {**fields, given.get("name", "_"): given.get("value", "")}))


@pytest.fixture(autouse=True)
def office(
    settings: Any, tax_rates: None, clerk: Any, other_clerk: Any, manager: Any, make_import: Any, make_run: Any
) -> None:
    """Four records of each kind, of several users and in several states."""
    settings.DEBUG = True
    fill(other_clerk, make_import, 4)
    make_run("running", id=RUN, owner="other-clerk")
    Customer.objects.update(email="ada@example.com")
    stalled = {"uploaded_at": timezone.now() - timedelta(hours=1)}
    for number, record in enumerate(ChargeImport.objects.order_by("pk")):
        ChargeImport.objects.filter(pk=record.pk).update(
            state=ChargeImport.State.values[number], uploaded_by=(clerk, other_clerk)[number % 2], run_id=""
        )
        Charge.objects.filter(pk=Charge.objects.order_by("pk")[number].pk).update(source=record, line=2)
    for number, mail in enumerate(Mail.objects.order_by("pk")):
        Mail.objects.filter(pk=mail.pk).update(state=("unclear", "failed", "sent", "waiting")[number])
    for number, run in enumerate(InvoiceRun.objects.order_by("pk")[:2]):
        run.parts.update(state="failed", error="x")
        InvoiceRun.objects.filter(pk=run.pk).update(state=("running", "incomplete")[number])
    NumberSequence.objects.create(kind="invoice", year=2026, last=4)
    invoice_runs.plan(trade.START, trade.END, trade.CUT_OFF, manager)
    BankImport.objects.filter(pk=BankImport.objects.latest("pk").pk).update(state="failed", **stalled)
    line = BankLine.objects.create(source=BankImport.objects.latest("pk"), line=9, state="waiting", currency="EUR")
    BankLine.objects.filter(pk=line.pk).update(amount=1, day=trade.END)
    invoicing.make_draft(customer := trade.make_customer(), [trade.make_charge(customer)])
    Invoice.objects.filter(pk=Invoice.objects.order_by("pk")[0].pk).update(state="paid")


def walk(client: Client, start: str = "/billing/customers/") -> set[str]:
    """Open all that is linked, press each button and take it back, and return the names of where buttons led."""
    left, seen, pressed = [start], {start}, set()
    while left:
        answer = client.get(address := left.pop())
        assert answer.status_code in (200, 302), (address, answer.status_code)
        if "html" not in answer.headers["Content-Type"] or not address.startswith("/billing/"):
            continue
        page = Page(address, answer.text)
        for to, values in page.buttons:
            with transaction.atomic():
                status = client.post(to, values).status_code
                transaction.set_rollback(True)
            assert status in (200, 302, 422), (address, to, values, status)
            pressed.add(resolve(urlsplit(to).path).url_name or "")
        for link in page.links:
            kind = link.partition("=")[0]  # a filter's other values show the same page
            if kind not in seen and link.startswith(("/billing/", "/live/runs/")):
                seen.add(kind)
                left.append(link)
    assert len(seen) > 50
    return pressed


@pytest.mark.parametrize(("role", "buttons"), [("clerk", CLERK), ("manager", MANAGER), ("auditor", set())])
def test_what_a_role_is_shown_is_not_refused(
    role: str, buttons: set[str], request: pytest.FixtureRequest, client: Client
) -> None:
    user = request.getfixturevalue(role)
    client.force_login(user)
    # Of exports one sees one's own only.
    LedgerExport.objects.create(format="csv", period_start=trade.START, period_end=trade.END, asked_by=user)

    assert walk(client) == buttons
