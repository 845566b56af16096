"""The demo: the company it makes, once and through the services, and the work that goes on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from importlib import import_module
from io import StringIO
from random import Random
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from billing import vat
from billing.demo import history, people
from billing.demo.clock import last_day_of_month, months_before
from billing.demo.traffic import Office
from billing.models import Charge, ChargeImport, Customer, Invoice, InvoiceLine, InvoiceRun, Mail, Payment, Reminder
from billing.services import invoice_runs, invoicing, mails, part_billing, payments, reminders
from billing.services.charges import unbilled

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tax_rates")]

MONTHS, CUSTOMERS = 4, 60
#: Of one transaction, some 1 ms each.
MAX_QUERIES_AT_ONCE = 80


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """A company of a few months and customers, on a developer's machine."""
    monkeypatch.setattr(people, "CUSTOMERS", CUSTOMERS)
    monkeypatch.setattr(history, "MONTHS", MONTHS)
    settings.DEBUG = True


def demo(*arguments: str) -> str:
    said = StringIO()
    call_command("demo", *arguments, stdout=said)
    return said.getvalue()


def everything() -> dict[str, Any]:
    counted = (Customer, Charge, Invoice, InvoiceLine, InvoiceRun, Payment, Mail, Reminder, get_user_model())
    return {model.__name__: model._default_manager.count() for model in counted}


@pytest.fixture(scope="module")
def whole(django_db_setup: None, django_db_blocker: Any) -> dict[str, Any]:
    """What the demo makes when nothing stops it, taken back again."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch, transaction.atomic():
        import_module("billing.migrations.0003_tax_rates").enter(apps, None)
        patch.setattr(people, "CUSTOMERS", CUSTOMERS)
        patch.setattr(history, "MONTHS", MONTHS)
        history.seed()
        made = everything()
        transaction.set_rollback(True)
    return made


def test_the_company_has_a_history_that_adds_up() -> None:
    demo()

    assert InvoiceRun.objects.filter(state="succeeded").count() == MONTHS
    assert set(Invoice.objects.values_list("state", flat=True)) >= {"issued", "paid", "overdue", "void"}
    assert set(Mail.objects.values_list("state", flat=True)) == {"sent", "failed", "unclear", "waiting"}
    assert Invoice.objects.filter(kind="credit_note").count() == 1
    assert set(Reminder.objects.values_list("step", flat=True)) == {1, 2, 3}
    for invoice in Invoice.objects.annotate(lines_net=Sum("lines__net"), lines_tax=Sum("lines__tax")):
        assert (invoice.net, invoice.tax) == (invoice.lines_net, invoice.lines_tax)
    paid = Payment.objects.filter(invoice__isnull=False).aggregate(Sum("amount"))["amount__sum"]
    assert paid == Invoice.objects.aggregate(Sum("paid"))["paid__sum"] > Decimal("0.00")


def test_all_of_the_past_is_billed_but_for_what_a_credit_note_released() -> None:
    demo()

    released = InvoiceLine.objects.filter(invoice__state="void").values_list("charge_id", flat=True)
    this_month = timezone.localdate().replace(day=1)
    left = set(unbilled().filter(day__lt=this_month).values_list("pk", flat=True))
    assert left == set(released)


def test_numbers_are_without_holes_and_in_the_order_of_days() -> None:
    demo()

    for year in {invoice.issued_on.year for invoice in Invoice.objects.all() if invoice.issued_on}:
        invoices = Invoice.objects.filter(kind="invoice", issued_on__year=year).order_by("number")
        assert [int(str(invoice.number)[5:]) for invoice in invoices] == list(range(1, len(invoices) + 1))
        days = [invoice.issued_on for invoice in invoices]
        assert days == sorted(days, key=str)


def test_a_second_call_does_nothing_and_says_so() -> None:
    assert "The demo's company is there." in demo()
    before = everything()

    assert demo() == "The demo's company is there already: nothing was done.\n"
    assert everything() == before


def test_one_that_was_interrupted_goes_on_where_it_was() -> None:
    def stop(text: str) -> None:
        if ": " in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        history.seed(stop)
    assert InvoiceRun.objects.count() == 1
    demo()
    after = everything()

    assert InvoiceRun.objects.count() == MONTHS
    assert Customer.objects.count() == CUSTOMERS
    demo()
    assert everything() == after


@pytest.mark.parametrize(
    ("module", "verb", "calls"),
    [
        (invoice_runs, "confirm", 1),
        (part_billing, "bill_part", 2),
        (payments, "record", 40),
        (mails, "ask", 5),
        (reminders, "remind", 8),
        (invoicing, "void", 0),
    ],
)
def test_one_that_was_killed_in_any_step_comes_to_the_same_end(
    module: Any, verb: str, calls: int, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = getattr(module, verb), []

    def die(*arguments: Any, **more: Any) -> Any:
        made.append(1)
        if len(made) > calls:
            raise KeyboardInterrupt
        return real(*arguments, **more)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, verb, die)
        demo()
    assert everything() != whole
    demo()

    assert everything() == whole


# Only SQLite lets one write at a time; elsewhere there is nothing to test.
if connection.vendor == "sqlite":

    @pytest.mark.django_db(transaction=True)
    def test_others_can_write_every_now_and_then() -> None:
        queries_of: list[int] = [0]

        def count(execute: Any, sql: str, *rest: Any) -> Any:
            if sql.startswith("BEGIN"):
                queries_of.append(0)
            queries_of[-1] += connection.in_atomic_block or sql.startswith("BEGIN")
            return execute(sql, *rest)

        with connection.execute_wrapper(count):
            demo()

        assert len(queries_of) > CUSTOMERS
        assert max(queries_of) <= MAX_QUERIES_AT_ONCE


def test_nobody_can_log_in_as_a_user_of_the_demo() -> None:
    demo()

    users = get_user_model()._default_manager.filter(username__in=["clerk", "manager"])
    assert {(user.username, user.has_usable_password(), user.is_staff) for user in users} == {
        ("clerk", False, False),
        ("manager", False, False),
    }
    assert all(user.has_perm("billing.add_charge") for user in users)


def test_outside_debug_it_is_refused_unless_forced(settings: Any) -> None:
    settings.DEBUG = False

    with pytest.raises(CommandError, match="DEBUG is off"):
        demo()
    assert not Customer.objects.exists()
    assert "is there." in demo("--force")


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "1e9", "often"])
def test_a_rate_that_is_none_is_refused_before_anything_is_made(rate: str) -> None:
    with pytest.raises(CommandError, match="expected a number above 0"):
        demo("--traffic", "--rate", rate)
    assert not Customer.objects.exists()


def test_the_customers_are_the_same_each_time_and_their_vat_ids_are_good() -> None:
    now = timezone.now()
    first, second = people.make_customers(now), people.make_customers(now)

    assert [vars(customer) | {"_state": None} for customer in first] == [
        vars(customer) | {"_state": None} for customer in second
    ]
    assert {customer.country for customer in first} >= {"DE", "AT", "CH", "FR", "US"}
    with_vat = [customer for customer in first if customer.vat_id]
    assert 0 < len(with_vat) < len(first)
    for customer in with_vat:
        assert vat.normalise(customer.vat_id, customer.country) == customer.vat_id
    for customer in first:
        customer.full_clean(exclude=["id"])
        assert customer.email.rpartition("@")[2] in people.DOMAINS


def test_months_are_counted_over_a_new_year() -> None:
    assert list(months_before(date(2026, 2, 1), 3)) == [date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1)]
    assert last_day_of_month(date(2024, 2, 10)) == date(2024, 2, 29)


@pytest.mark.parametrize("kind", ["charge", "import_file", "receive_payment", "send_invoice", "fail"])
def test_each_kind_of_work_is_done_by_a_service_and_told_to_a_worker(
    kind: str, redis: Any, django_capture_on_commit_callbacks: Any
) -> None:
    demo()
    before = (Charge.objects.count(), Payment.objects.count(), ChargeImport.objects.count(), Mail.objects.count())
    office = Office(get_user_model()._default_manager.get(username="clerk"), Random(1))

    with django_capture_on_commit_callbacks(execute=True):
        said = getattr(office, kind)()

    after = (Charge.objects.count(), Payment.objects.count(), ChargeImport.objects.count(), Mail.objects.count())
    assert said
    assert sum(after) == sum(before) + 1
    assert redis.llen("tat:broker:celery") == (kind in ("import_file", "send_invoice", "fail"))


@pytest.mark.django_db(transaction=True)
def test_traffic_goes_on_until_ctrl_c(redis: Any, start_process: Callable[[str], subprocess.Popen[str]]) -> None:
    demo()
    process = start_process(
        f"from billing.demo import people; people.CUSTOMERS = {CUSTOMERS}\n"
        "from django.core.management import call_command\n"
        "call_command('demo', '--traffic', '--rate', '6000')"
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(12)]
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()

    assert process.wait(20) == 0
    assert lines[0] == "The demo's company is there already: nothing was done.\n"
    assert all(line.strip() for line in lines)
    assert rest.endswith("Stopped.\n")
