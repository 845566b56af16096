"""Every address of billing refuses: without login, without a right (which it names), and auditors who would change."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing import urls
from billing.models import BankImport, BankLine, ChargeImport, Customer, Invoice, InvoiceRun, LedgerExport, Mail
from tests.billing.office import fill

pytestmark = pytest.mark.django_db

#: Called by the mail service, not by a user: it proves itself by a secret.
FOREIGN = {"mail_events"}
RIGHT = re.compile(r"\(billing\.[a-z]+_[a-z]+\)")


#: Whose record a name is about; the longest that fits.
RECORDS = {
    "customer": Customer,
    "import": ChargeImport,
    "invoice": Invoice,
    "invoice_run": InvoiceRun,
    "mail": Mail,
    "bank_import": BankImport,
    "bank_line": BankLine,
    "ledger_export": LedgerExport,
}
PATTERNS = {pattern.name: pattern for pattern in urls.urlpatterns if pattern.name not in FOREIGN}


def address_of(name: str) -> str:
    """Return a page's address, with the newest record of its kind."""
    values: dict[str, Any] = {}
    for parameter in PATTERNS[name].pattern.converters:
        kind = max((known for known in RECORDS if name.startswith(known)), key=len, default="")
        values[parameter] = RECORDS[kind]._default_manager.latest("pk").pk if kind else 1
    return reverse(f"billing:{name}", kwargs=values)


@pytest.fixture(autouse=True)
def office(settings: Any, auditor: Any, make_import: Any) -> None:
    """A record of each kind, on a site that has the inbox too."""
    settings.DEBUG = True
    fill(auditor, make_import, 1)


@pytest.fixture
def nobody(django_user_model: Any, client: Client) -> Client:
    """The browser of a user without any right."""
    client.force_login(django_user_model.objects.create_user("nobody"))
    return client


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_without_login_there_is_only_the_login_page(client: Client, name: str) -> None:
    for answer in (client.get(address_of(name)), client.post(address_of(name))):
        assert answer.status_code in (302, 405)
        assert answer.status_code == 405 or answer.headers["Location"].startswith("/accounts/login/")
    assert 302 in {client.get(address_of(name)).status_code, client.post(address_of(name)).status_code}


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_without_the_right_a_user_is_told_which_one_is_missing(nobody: Client, name: str) -> None:
    answers = [nobody.get(address_of(name)), nobody.post(address_of(name))]

    assert {answer.status_code for answer in answers} <= {403, 405}
    refusals = [answer.text for answer in answers if answer.status_code == 403]
    assert refusals
    assert all(RIGHT.search(text) for text in refusals)


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_an_auditor_reads_and_posts_nothing(client: Client, auditor: Any, name: str) -> None:
    client.force_login(auditor)

    answer = client.post(address_of(name))

    assert answer.status_code in (403, 405)


def test_navigation_shows_each_user_what_they_may_open_and_where_they_are(
    client: Client, clerk: Any, auditor: Any, nobody: Client
) -> None:
    assert "/billing/" not in nobody.get("/live/").text
    client.force_login(clerk)
    text = client.get("/billing/customers/").text
    assert '<a href="/billing/customers/" aria-current="page">Customers</a>' in text
    assert text.count('aria-current="page"') == 2

    for user in (clerk, auditor):
        client.force_login(user)
        parts = re.search(r'<nav class="parts".*?</nav>', client.get("/billing/charges/").text, re.DOTALL)
        assert parts
        linked = re.findall(r'href="([^"]+)"', parts[0])
        assert len(linked) >= 6
        assert {client.get(address).status_code for address in linked} == {200}
