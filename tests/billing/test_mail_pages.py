"""The pages of e-mails: sending from an invoice and a run, the list, and deciding."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.test import Client

from billing.models import Invoice, InvoiceRun, Mail
from billing.services import mails
from billing.tasks import email_invoice_run
from billing.tasks.mails import retry_stuck
from tests.billing.invoices import make_customer, make_invoice
from tests.billing.trade import make_user

pytestmark = pytest.mark.django_db(transaction=True)

LIST_QUERIES = 7  # session, user, own and group permissions, count, rows


@pytest.fixture
def page(clerk: Any, client: Client, redis: Any) -> Client:
    """The browser of a clerk."""
    client.force_login(clerk)
    return client


@pytest.fixture
def run(clerk: Any) -> InvoiceRun:
    """An invoice run of two invoices that can be sent and one whose customer has no address."""
    day = date(2026, 1, 1)
    made = InvoiceRun.objects.create(period_start=day, period_end=day, cut_off=day, created_by=clerk)
    for _ in range(2):
        make_invoice(invoice_run=made)
    make_invoice(invoice_run=made, customer=make_customer(email=""))
    make_invoice(invoice_run=made, state=Invoice.State.VOID)
    return made


def test_send_makes_one_mail_with_a_run_that_the_invoice_shows(page: Client, clerk: Any) -> None:
    invoice = make_invoice()
    assert "Send" in page.get(invoice.get_absolute_url()).text

    page.post(f"/billing/invoices/{invoice.pk}/send/")
    answer = page.post(f"/billing/invoices/{invoice.pk}/send/", follow=True)

    mail = Mail.objects.get()
    assert (mail.state, mail.asked_by, mail.invoice) == ("waiting", clerk, invoice)
    assert mail.run_id in answer.text
    assert mail.address in answer.text


def test_a_failure_is_shown_on_the_invoice_and_on_the_mail_as_text(page: Client) -> None:
    invoice = make_invoice()
    mail, _ = mails.ask("invoice", f"invoice:{invoice.pk}", invoice.customer, "a@example.com", invoice)
    Mail.objects.filter(pk=mail.pk).update(state="failed", error="550 <b>No such mailbox</b>")

    for address in (invoice.get_absolute_url(), mail.get_absolute_url(), "/billing/mails/"):
        assert "550 &lt;b&gt;No such mailbox&lt;/b&gt;" in page.get(address).text


def test_without_an_address_nothing_is_asked_for_and_one_is_told(page: Client) -> None:
    invoice = make_invoice(customer=make_customer(email="", name="Ada"))

    answer = page.post(f"/billing/invoices/{invoice.pk}/send/", follow=True)

    assert "Ada has no e-mail address" in answer.text
    assert Mail.objects.count() == 0


def test_a_draft_is_not_sent(page: Client) -> None:
    draft = make_invoice(state=Invoice.State.DRAFT, number=None)

    answer = page.post(f"/billing/invoices/{draft.pk}/send/", follow=True)

    assert "A draft is not sent" in answer.text
    assert Mail.objects.count() == 0


def test_send_all_queues_each_invoice_once_and_counts_who_has_no_address(
    run: InvoiceRun, clerk: Any, redis: Any
) -> None:
    first = email_invoice_run(run.pk, clerk.pk)
    second = email_invoice_run(run.pk, clerk.pk)

    assert first == {"queued": 2, "without_email": 1, "asked_before": 0}
    assert second == {"queued": 0, "without_email": 1, "asked_before": 2}
    assert [(mail.asked_by, bool(mail.run_id)) for mail in Mail.objects.all()] == [(clerk, True)] * 2


def test_send_all_is_a_run_that_the_invoice_run_keeps(page: Client, run: InvoiceRun) -> None:
    answer = page.post(f"/billing/invoice-runs/{run.pk}/send/")

    run.refresh_from_db()
    assert answer.url == run.get_absolute_url()  # type: ignore[attr-defined]
    assert run.mail_run_id


def test_a_mail_whose_broker_was_away_waits_and_is_queued_by_the_next_send_all(
    run: InvoiceRun, clerk: Any, redis: Any
) -> None:
    email_invoice_run(run.pk)
    Mail.objects.update(run_id="")

    assert email_invoice_run(run.pk)["queued"] == 2


def test_the_list_is_filtered_and_needs_few_queries(page: Client, django_assert_max_num_queries: Any) -> None:
    for state in ("failed", "failed", "sent"):
        invoice = make_invoice()
        mail, _ = mails.ask("invoice", f"invoice:{invoice.pk}", invoice.customer, invoice.customer.email, invoice)
        Mail.objects.filter(pk=mail.pk).update(state=state)

    with django_assert_max_num_queries(LIST_QUERIES):
        everything = page.get("/billing/mails/").text
    failed = page.get("/billing/mails/?state=failed").text
    one = page.get(f"/billing/mails/?customer={invoice.customer.number}").text

    assert [text.count("<tr data-state") for text in (everything, failed, one)] == [3, 2, 1]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"customer": "\0"}, "Null characters are not allowed."),
        ({"customer": "nobody"}, "There is no customer with the number nobody."),
        ({"state": "nonsense"}, "Select a valid choice"),
    ],
)
def test_a_filter_that_is_wrong_finds_nothing_and_says_why(page: Client, query: dict[str, str], sentence: str) -> None:
    mails.ask("invoice", "invoice:1", make_customer(), "a@example.com")

    text = page.get("/billing/mails/", query).text

    assert (sentence in text, "No e-mail matches." in text) == (True, True)


def test_an_unclear_mail_asks_a_person_who_decides(page: Client) -> None:
    invoice = make_invoice()
    mail, _ = mails.ask("invoice", f"invoice:{invoice.pk}", invoice.customer, "a@example.com", invoice)
    Mail.objects.update(state="unclear", error="The worker ended")
    shown = page.get(mail.get_absolute_url()).text
    assert "It went out" in shown
    assert "It went out" in page.get(invoice.get_absolute_url()).text

    page.post(f"/billing/mails/{mail.pk}/decide/", {"decision": "sent"})
    mail.refresh_from_db()
    assert mail.state == "sent"

    late = page.post(f"/billing/mails/{mail.pk}/decide/", {"decision": "sent"}, follow=True)
    assert "nothing to decide" in late.text


@pytest.mark.parametrize("values", [{}, {"decision": "perhaps"}])
def test_without_a_decision_an_unclear_mail_stays_unclear(page: Client, values: dict[str, str]) -> None:
    mail, _ = mails.ask("invoice", "invoice:1", make_customer(), "a@example.com")
    Mail.objects.update(state="unclear")

    answer = page.post(f"/billing/mails/{mail.pk}/decide/", values)

    mail.refresh_from_db()
    assert (answer.status_code, mail.state) == (400, "unclear")


def test_two_who_send_an_unclear_mail_again_at_once_send_it_once(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    mail, _ = mails.ask("invoice", "invoice:1", make_customer(), "a@example.com")
    Mail.objects.update(state="unclear")
    real = mails.decide

    def second(*args: Any, **more: Any) -> Mail:
        real(*args, **more)
        return real(*args, **more)

    monkeypatch.setattr(mails, "decide", second)
    answer = page.post(f"/billing/mails/{mail.pk}/decide/", {"decision": "again"}, follow=True)

    assert (answer.status_code, "There is nothing to decide" in answer.text) == (200, True)
    assert Mail.objects.count() == 1


def test_sent_again_an_unclear_mail_waits_and_a_sent_one_has_a_second_copy(page: Client) -> None:
    mail, _ = mails.ask("invoice", "invoice:1", make_customer(), "a@example.com")
    Mail.objects.update(state="unclear")

    page.post(f"/billing/mails/{mail.pk}/decide/", {"decision": "again"})
    mail.refresh_from_db()
    assert (mail.state, bool(mail.run_id)) == ("waiting", True)

    Mail.objects.update(state="sent")
    for _ in range(2):
        page.post(f"/billing/mails/{mail.pk}/decide/", {"decision": "again"})
    assert list(Mail.objects.order_by("number").values_list("number", "state")) == [(1, "sent"), (2, "waiting")]


def test_an_auditor_sees_but_neither_sends_nor_decides(auditor: Any, client: Client) -> None:
    invoice = make_invoice()
    mail, _ = mails.ask("invoice", f"invoice:{invoice.pk}", invoice.customer, "a@example.com", invoice)
    Mail.objects.update(state="unclear")
    client.force_login(auditor)

    shown = client.get(mail.get_absolute_url())
    assert "It went out" not in shown.text
    for address in (f"/billing/mails/{mail.pk}/decide/", f"/billing/invoices/{invoice.pk}/send/"):
        refused = client.post(address)
        assert refused.status_code == 403
        assert "billing.change_" in refused.text


def test_who_may_not_see_e_mails_sees_none_on_the_invoice(client: Client) -> None:
    invoice = make_invoice()
    mails.ask("invoice", f"invoice:{invoice.pk}", invoice.customer, "secret@example.com", invoice)

    for rights, is_shown in (("view_invoice",), False), (("view_invoice", "view_mail"), True):
        client.force_login(make_user("-".join(rights), *rights))
        assert ("secret@example.com" in client.get(invoice.get_absolute_url()).text) is is_shown


def test_stuck_mails_get_a_run_again(redis: Any) -> None:
    mail, _ = mails.ask("invoice", "invoice:1", make_customer(), "a@example.com")
    Mail.objects.update(changed_at="2026-01-01T00:00Z", run_id="gone")

    assert retry_stuck() == 1
    assert retry_stuck() == 0
    mail.refresh_from_db()
    assert mail.run_id not in ("", "gone")


def test_a_void_invoice_is_not_sent_and_offers_no_button(page: Client) -> None:
    invoice = make_invoice(state=Invoice.State.VOID)
    address = f"/billing/invoices/{invoice.pk}/send/"

    assert address not in page.get(invoice.get_absolute_url()).text
    assert "is void; only its credit note is sent" in page.post(address, follow=True).text
    assert Mail.objects.count() == 0


def test_a_copy_of_what_is_no_demand_any_more_is_refused_with_a_sentence(page: Client) -> None:
    invoice = make_invoice()
    mail, _ = mails.ask("invoice", f"invoice:{invoice.pk}", invoice.customer, "a@example.com", invoice)
    Mail.objects.update(state="sent")
    Invoice.objects.update(state="void")

    answer = page.post(f"/billing/mails/{mail.pk}/decide/", {"decision": "again"}, follow=True)

    assert "is void; only its credit note is sent" in answer.text
    assert Mail.objects.count() == 1
