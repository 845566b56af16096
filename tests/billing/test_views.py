"""The pages of imports, as the clerk, another clerk and the bookkeeper see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from kombu.exceptions import OperationalError

from billing import importing, uploads
from billing.models import Charge, ChargeImport
from billing.tasks import import_charges
from tests.billing.files import CSV_HEADER

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/billing/imports/"
QUERIES = 6  # session, user, own and group permissions, count, rows
CONTENT = CSV_HEADER + b"1,19970101,1,1234.50,a\n2,19970230,1,2.00,<b>bold</b>\n"


@pytest.fixture
def page(clerk: Any, client: Client, redis: Any) -> Client:
    """The clerk's browser."""
    client.force_login(clerk)
    return client


@pytest.fixture
def bookkeeper(db: None) -> Any:
    """A user who may see all imports."""
    user = get_user_model().objects.create_user("bookkeeper", password="bookkeeper", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_chargeimport"))
    return user


def upload(page: Client, content: bytes, name: str = "march.csv") -> Any:
    return page.post(LIST, {"file": SimpleUploadedFile(name, content)}, follow=True)


def test_an_upload_leads_to_its_page_which_shows_the_run_at_once(page: Client) -> None:
    answer = upload(page, CONTENT)

    record = ChargeImport.objects.get()
    assert answer.redirect_chain == [(record.get_absolute_url(), 302)]
    assert record.run_id in answer.text
    assert "<live-run" in answer.text
    assert "billing/import.js" in answer.text
    assert "Start again" not in answer.text
    assert "0 of 3" in answer.text


def test_at_the_end_the_page_shows_counts_and_rejected_lines_as_text(page: Client) -> None:
    upload(page, CONTENT)
    record = ChargeImport.objects.get()
    importing.run_import(record.pk)

    text = page.get(record.get_absolute_url()).text

    assert "1,234.50 USD" in text
    assert "3 of 3" in text
    assert "must be a day that exists" in text
    assert "&lt;b&gt;bold" in text
    assert "<b>bold" not in text
    assert "billing/import.js" not in text
    assert "1,234.50 USD" in page.get(LIST).text


def test_the_very_same_file_again_leads_to_the_import_that_is_there(page: Client) -> None:
    upload(page, CONTENT)
    record = ChargeImport.objects.get()
    importing.run_import(record.pk)

    answer = upload(page, CONTENT, name="other name.csv")

    assert answer.redirect_chain == [(record.get_absolute_url(), 302)]
    assert "nothing is billed twice" in answer.text
    assert Charge.objects.count() == 1


def test_a_file_that_somebody_else_uploaded_is_not_shown_and_not_billed_again(
    page: Client, make_import: Callable[..., Any], other_clerk: Any
) -> None:
    make_import(CONTENT, name="secret name.csv", user=other_clerk)

    answer = upload(page, CONTENT)

    assert answer.redirect_chain == [(LIST, 302)]
    assert "nothing is billed twice" in answer.text
    assert "secret name" not in answer.text
    assert ChargeImport.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The submitted file is empty."),
        (CSV_HEADER, "The file holds a header and no purchases."),
        ((CSV_HEADER * 2).decode().encode("utf-16"), "The file is UTF-16 text"),
        (b"PK\x03\x04\0\0", "The file is not text."),
        (b"<script>alert(1)</script>\n1", "It reads: &lt;script&gt;"),
    ],
)
def test_a_file_that_is_no_such_thing_is_refused_on_the_page_and_not_kept(
    page: Client, content: bytes, sentence: str
) -> None:
    answer = upload(page, content)

    assert answer.status_code == 422
    assert sentence in answer.text
    assert not ChargeImport.objects.exists()


def test_a_file_above_the_limit_is_refused_on_the_page(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_FILE_MIB", 1)

    answer = upload(page, CSV_HEADER + b"x" * 2_500_000)

    assert answer.status_code == 422
    assert "The file has 2 MiB, and 1 are allowed" in answer.text


def test_no_file_at_all_is_a_sentence_too(page: Client) -> None:
    answer = page.post(LIST)

    assert answer.status_code == 422
    assert "This field is required." in answer.text


def test_a_full_disk_is_a_sentence_on_the_page(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("django.core.files.storage.FileSystemStorage._save", full)

    answer = upload(page, CONTENT)

    assert answer.status_code == 422
    assert "could not be stored: No space left on device" in answer.text
    assert not ChargeImport.objects.exists()


def test_with_the_broker_down_the_page_says_that_the_import_waits_and_starts_it_on_demand(
    page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as down:
        down.setattr(import_charges, "apply_async", _refuse)
        answer = upload(page, CONTENT)
    assert "The file is kept" in answer.text
    assert "Start again" in answer.text

    record = ChargeImport.objects.get()
    answer = page.post(reverse("billing:import_start", args=[record.pk]), follow=True)

    record.refresh_from_db()
    assert record.run_id in answer.text
    assert "Start again" not in answer.text


def _refuse(*args: Any, **kwargs: Any) -> None:
    raise OperationalError("connection refused")


def test_an_import_that_runs_or_has_ended_is_not_started_again(page: Client, redis: Any) -> None:
    upload(page, CONTENT)
    record = ChargeImport.objects.get()

    page.post(reverse("billing:import_start", args=[record.pk]))

    assert redis.llen("tat:broker:celery") == 1
    assert ChargeImport.objects.get().run_id == record.run_id


def test_somebody_else_s_import_is_not_there(client: Client, make_import: Callable[..., Any], other_clerk: Any) -> None:
    record = make_import(CONTENT)
    client.force_login(other_clerk)

    assert client.get(record.get_absolute_url()).status_code == 404
    assert client.post(reverse("billing:import_start", args=[record.pk])).status_code == 404
    assert record.name not in client.get(LIST).text


def test_who_may_see_imports_sees_everybody_s(client: Client, make_import: Callable[..., Any], bookkeeper: Any) -> None:
    record = make_import(CONTENT)
    client.force_login(bookkeeper)

    assert client.get(record.get_absolute_url()).status_code == 200
    assert record.name in client.get(LIST).text


@pytest.mark.parametrize("address", [LIST, "/billing/imports/1/"])
def test_without_login_there_is_only_the_login_page(client: Client, db: None, address: str) -> None:
    assert client.get(address).headers["Location"] == f"/accounts/login/?next={address}"
    assert client.post("/billing/imports/1/start/").headers["Location"].startswith("/accounts/login/")


def test_an_upload_without_the_page_s_token_is_refused(clerk: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(clerk)

    assert upload(client, CONTENT).status_code == 403


def test_rejected_lines_are_paged(page: Client, make_import: Callable[..., Any]) -> None:
    record = make_import(CSV_HEADER + b"nonsense\n" * 1_100)
    importing.run_import(record.pk)

    first = page.get(record.get_absolute_url()).text
    last = page.get(record.get_absolute_url(), {"page": 10}).text

    assert first.count("nonsense") == last.count("nonsense") == 100
    assert "The first 1,000 are listed." in first
    assert ">1001<" in last


@pytest.mark.parametrize("role", ["clerk", "auditor"])
def test_the_list_has_the_styles_of_billing(client: Client, role: str, request: pytest.FixtureRequest) -> None:
    client.force_login(request.getfixturevalue(role))

    assert "billing/billing.css" in client.get(LIST).text


def test_the_list_asks_the_database_as_often_for_many_imports_as_for_one(
    page: Client, make_import: Callable[..., Any], django_assert_num_queries: Any
) -> None:
    make_import(CONTENT)
    page.get(LIST)
    with django_assert_num_queries(QUERIES):
        page.get(LIST)

    for number in range(10):
        make_import(CONTENT + b"%d\n" % number)

    with django_assert_num_queries(QUERIES):
        page.get(LIST)
