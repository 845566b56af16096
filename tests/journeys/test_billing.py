"""A month at a small company: import, invoice run, PDF, e-mail, payment and reminder, each watched while it happens."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.billing import files
from tests.harness.browsing import Visitor
from tests.harness.stack import MakeStack, Stack
from tests.harness.wait import until

Visit = Callable[..., Visitor]
STEP_MS = 60_000
CHARGES = (
    files.CSV_HEADER
    + b"1,2026-06-01,2,100.00,two discs\n"
    + b"1,2026-06-03,1,19.99,one disc\n"
    + b"2,2026-06-04,1,50.00,a record\n"
)


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """All parts of a company: the mail server, which keeps what it gets, among them."""
    return make_stack("web", "worker", "beat", "mail")


def ended(watcher: Visitor, task: str, count: int = 1) -> None:
    """Wait until the list of runs, which nobody reloads, shows that so many runs of the task have succeeded."""
    rows = watcher.page.locator("tbody[data-rows] tr[data-state=succeeded]", has_text=task)
    expect(rows).to_have_count(count, timeout=STEP_MS)


def run_now(page: Page, name: str) -> None:
    """Run an entry of beat's at once, as a person does it in the admin."""
    page.goto("/admin/django_celery_beat/periodictask/")
    page.get_by_role("row", name=name).get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option("run_tasks")
    page.get_by_role("button", name=re.compile("Run|Go")).click()
    expect(page.locator(".messagelist li")).to_be_visible()


def name_customer(page: Page, number: str, name: str) -> None:
    """Give an imported customer a name and an address for e-mails."""
    page.goto(f"/billing/customers/?q={number}")
    page.locator("tbody a", has_text=re.compile(rf"^{number}$")).click()
    page.get_by_role("link", name="Change").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("E-mail", exact=True).fill(f"{name.lower()}@example.com")
    page.get_by_role("button", name="Save").click()


def open_invoice(page: Page, customer: str) -> None:
    """Open the invoice of a customer."""
    page.goto("/billing/invoices/")
    page.get_by_role("row", name=customer).get_by_role("link").first.click()


def state(page: Page) -> Locator:
    """Return where the page says the state of its invoice."""
    return page.locator("[data-fact=state]")


def grow_old(stack: Stack, days: int) -> None:
    """Let days pass: what is open was due so long ago."""
    stack.manage(
        "shell",
        "-c",
        "from datetime import timedelta; from billing.company import today; from billing.models import Invoice;"
        f"Invoice.objects.filter(kind='invoice').update(due_on=today() - timedelta(days={days}))",
    )


def inbox(page: Page) -> list[str]:
    """Return the subjects in the inbox."""
    page.goto("/billing/inbox/")
    return [text.strip() for text in page.locator("tbody tr td:first-child").all_text_contents()]


@pytest.mark.timeout(600)
def test_charges_become_invoices_pdfs_mails_payments_and_reminders(stack: Stack, visitor: Visit) -> None:
    watcher, window = visitor("admin"), visitor("admin")
    watcher.go("/live/?task=billing.import_charges")
    page = window.page
    before = len(inbox(page))

    # Import
    page.goto("/billing/imports/")
    page.locator("input[type=file]").set_input_files({"name": "june.csv", "mimeType": "text/csv", "buffer": CHARGES})
    page.get_by_role("button", name="Import").click()
    expect(page.locator("dl.facts [data-fact=state]")).to_have_text("succeeded", timeout=STEP_MS)
    ended(watcher, "june.csv")
    name_customer(page, "1", "Ada")
    name_customer(page, "2", "Grace")

    # Invoice run
    watcher.go("/live/?task=billing.invoice_run")
    page.goto("/billing/invoice-runs/")
    page.get_by_label("From").fill("2026-06-01")
    page.get_by_label("To", exact=True).fill("2026-06-30")
    page.get_by_role("button", name="Show the plan").click()
    expect(page.locator("[data-fact=customers]")).to_have_text("2")
    expect(page.locator("[data-fact=total]")).to_contain_text("169.99")
    page.get_by_role("button", name=re.compile("Bill .*169.99")).click()
    expect(page.locator(".whole[data-state=succeeded]")).to_be_visible(timeout=STEP_MS)
    expect(page.locator("[data-fact=invoices]")).to_have_text("2")
    ended(watcher, "billing.invoice_run")

    # PDF
    watcher.go("/live/?task=billing.make_pdf")
    open_invoice(page, "Ada")
    expect(state(page)).to_contain_text("issued")
    page.get_by_role("button", name="Make the PDF").click()
    download = page.get_by_role("link", name="Download the PDF")
    expect(download).to_be_visible(timeout=STEP_MS)
    pdf = window.context.request.get(str(download.get_attribute("href")))
    assert (pdf.status, pdf.headers["content-type"], pdf.body()[:5]) == (200, "application/pdf", b"%PDF-")
    ended(watcher, "billing.make_pdf")

    # E-mail
    watcher.go("/live/?task=billing.email_invoice")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("tr[data-state=sent]")).to_have_count(1, timeout=STEP_MS)
    ended(watcher, "billing.email_invoice")
    assert len(inbox(page)) == before + 1
    page.locator("tbody a").first.click()
    expect(page.get_by_role("link", name=re.compile(r"\.pdf$"))).to_be_visible()
    expect(page.frame_locator("iframe.mail-html").locator("body")).to_contain_text("Ada")

    # Payment
    open_invoice(page, "Ada")
    page.get_by_role("button", name="Enter a payment").click()
    expect(state(page)).to_contain_text("paid")

    # Reminder: of what is due for long, and not of what is paid
    grow_old(stack, 8)
    watcher.go("/live/?task=billing.mark_overdue")
    run_now(page, "Billing: mark overdue invoices")
    ended(watcher, "billing.mark_overdue")
    open_invoice(page, "Grace")
    expect(state(page)).to_contain_text("overdue")
    watcher.go("/live/?task=billing.send_reminders")
    run_now(page, "Billing: send reminders")
    ended(watcher, "billing.send_reminders")
    until(lambda: len(inbox(page)) == before + 2, "the reminder to arrive", 30, stack.tails)
    open_invoice(page, "Grace")
    expect(page.locator("tr[data-state=sent]")).to_have_count(1)
    run_now(page, "Billing: send reminders")
    ended(watcher, "billing.send_reminders", 2)
    assert len(inbox(page)) == before + 2
    until(lambda: watcher.read_list() == watcher.read_fresh_list(), "the watched list to equal a fresh one", 10)


def test_who_asks_is_told_by_e_mail_that_a_run_has_ended(stack: Stack, visitor: Visit) -> None:
    stack.manage(
        "shell",
        "-c",
        "from django.contrib.auth.models import User;"
        "User.objects.filter(username='clerk').update(email='c@example.com')",
    )
    before = len(inbox(visitor("admin").page))
    run_id = stack.send("journey.wait", "told", owner="clerk", title="The month's end")
    stack.gates.wait_for_arrival("told")
    stack.wait_for_state(run_id, "running")
    window = visitor("clerk")
    window.go(f"/live/runs/{run_id}/")
    window.page.get_by_role("button", name="Tell me by e-mail when it ends").click()
    expect(window.page.get_by_role("button", name="Do not tell me when it ends")).to_be_visible()

    stack.gates.open("told")

    admin = visitor("admin").page
    until(lambda: len(inbox(admin)) == before + 1, "the message to arrive", 30, stack.tails)
    assert inbox(admin)[0] == "The month's end: succeeded"
