"""The pages as the server draws them: complete without JavaScript, and only what the user may see."""

from __future__ import annotations

import re
from typing import Any
from unittest import mock

import pytest
from django.test import Client
from django.urls import reverse

from live.models import Attempt, Run


@pytest.fixture
def page(client: Client, clerk: Any) -> Client:
    """The clerk's browser."""
    client.force_login(clerk)
    return client


def ids(response: Any) -> list[str]:
    drawn = response.content.decode().split("<template", 1)[0]
    return re.findall(r'<tr class="run" data-run-id="([^"]*)"', drawn)


@pytest.mark.parametrize("address", ["/live/", "/live/runs/run-0001/"])
def test_nobody_sees_a_page_without_logging_in(client: Client, db: None, address: str) -> None:
    response = client.get(address)

    assert response.status_code == 302
    assert response.url == f"/accounts/login/?next={address}"


def test_the_list_shows_own_runs_newest_first(page: Client, make_run: Any) -> None:
    make_run("succeeded")
    make_run("running")
    make_run("running", owner="somebody")

    assert ids(page.get("/live/")) == ["run-0002", "run-0001"]


def test_who_may_see_all_sees_all_and_may_filter_by_owner(client: Client, operator: Any, make_run: Any) -> None:
    make_run("running")
    make_run("running", owner="somebody")
    client.force_login(operator)

    assert ids(client.get("/live/")) == ["run-0002", "run-0001"]
    assert ids(client.get("/live/?owner=somebody")) == ["run-0002"]
    assert b'name="owner"' in client.get("/live/").content


def test_who_sees_own_runs_only_has_no_filter_by_owner(page: Client) -> None:
    assert b'name="owner"' not in page.get("/live/").content


def test_the_address_holds_the_filter_and_the_page_shows_it(page: Client, make_run: Any) -> None:
    make_run("failed", task="billing.close_month")
    make_run("failed")
    make_run("running", task="billing.close_month")

    response = page.get("/live/?state=failed&task=billing.close_month")

    assert ids(response) == ["run-0001"]
    assert b'value="billing.close_month"' in response.content
    assert b'<input type="hidden" name="state" value="failed">' in response.content
    assert 'data-filter="{&quot;state&quot;:[&quot;failed&quot;]' in response.content.decode()


def test_tabs_count_states_within_the_rest_of_the_filter(page: Client, make_run: Any) -> None:
    for state in ("failed", "failed", "running"):
        make_run(state, task="one")
    make_run("failed", task="two")

    drawn = page.get("/live/?state=running&task=one").content.decode()
    counts = dict(re.findall(r'data-count="(\w+)">([^<]*)<', drawn))

    assert (counts["all"], counts["failed"], counts["running"], counts["lost"]) == ("3", "2", "1", "0")
    assert 'href="?state=failed&amp;task=one"' in drawn
    assert re.search(r'data-state="running"\s+aria-current="true"', drawn)


def test_a_long_list_has_pages_that_keep_the_filter(page: Client, make_run: Any, settings: Any) -> None:
    settings.LIVE_PAGE_ROWS = 2
    for _ in range(5):
        make_run("failed")

    first = page.get("/live/?state=failed")
    second = page.get("/live/?state=failed&page=2")
    third = page.get("/live/?state=failed&page=3")

    assert [ids(each) for each in (first, second, third)] == [
        ["run-0005", "run-0004"],
        ["run-0003", "run-0002"],
        ["run-0001"],
    ]
    assert b'rel="prev"' not in first.content
    assert b'rel="next" href="?state=failed&amp;page=2"' in first.content
    assert b'rel="prev" href="?state=failed"' in second.content
    assert b'rel="next"' not in third.content


@pytest.mark.parametrize(
    "query",
    ["state=late", "kind=odd", "page=0", "page=x", "page=-1", "page=1001", "page=9" * 30, "page=%D9%A3", "q=%00"],
)
def test_an_address_that_makes_no_sense_is_answered_with_a_sentence(page: Client, query: str) -> None:
    response = page.get(f"/live/?{query}")

    assert response.status_code == 400
    assert b"No such list" in response.content


def test_an_empty_list_says_so(page: Client) -> None:
    assert b"No runs yet" in page.get("/live/").content
    assert b"No run is like that" in page.get("/live/?state=failed").content


def test_a_list_costs_no_more_queries_with_more_rows(
    page: Client, make_run: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        make_run("running")

    with django_assert_max_num_queries(8):
        page.get("/live/")


def test_a_run_is_shown_with_facts_result_and_attempts(page: Client, make_run: Any) -> None:
    run = make_run("succeeded", title="Import of march.txt", attempt=2, schedule="every minute", parent="the/parent")
    for number, state in ((1, "retrying"), (2, "succeeded")):
        Attempt.objects.create(
            run=run, number=number, state=state, worker=f"celery@{number}", started_at=run.started_at
        )

    drawn = page.get(f"/live/runs/{run.id}/").content.decode()

    assert "Import of march.txt" in drawn
    assert "?schedule=every%20minute" in drawn
    assert 'href="/live/runs/the/parent/"' in drawn
    assert re.search(r'data-field="result"[^>]*>3<', drawn)
    assert 'title="' in drawn
    assert drawn.index("celery@1") < drawn.index("celery@2")


def test_a_failed_run_is_shown_with_error_and_traceback(page: Client, failed_run: Run) -> None:
    drawn = page.get(f"/live/runs/{failed_run.id}/").content.decode()

    assert "ValueError: no such charge" in drawn
    assert "Traceback …" in drawn


def test_an_id_may_hold_anything(page: Client, make_run: Any) -> None:
    for run_id in ("a/b", "ä ü?#%&", "<b>", "a\nb", "\r\n"):
        make_run("running", id=run_id)

        response = page.get(reverse("live:run", args=[run_id]))

        assert response.status_code == 200
        assert response.context["row"].id == run_id
        assert "<b>" not in response.content.decode()
    assert len(ids(page.get("/live/"))) == 5


def test_a_run_of_somebody_else_and_one_that_is_not_there_answer_alike(page: Client, make_run: Any) -> None:
    make_run("running", id="theirs", owner="somebody")

    theirs, nobodys = page.get("/live/runs/theirs/"), page.get("/live/runs/nobodys/")

    assert theirs.status_code == nobodys.status_code == 404


def test_pages_have_no_inline_script_or_style_and_are_not_kept_by_caches(page: Client, running_run: Run) -> None:
    for address in ("/live/", f"/live/runs/{running_run.id}/", "/accounts/login/"):
        response = page.get(address)
        drawn = response.content.decode()

        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", drawn)
        assert re.findall(r"<script([^>]*)>([^<]*)", drawn) == [(mock.ANY, "")]
        assert "no-store" in response.headers["Cache-Control"]


def test_logging_out_needs_a_post(page: Client) -> None:
    assert page.get("/accounts/logout/").status_code == 405
    assert page.post("/accounts/logout/").url == "/accounts/login/"
    assert page.get("/live/").status_code == 302


def test_logging_in_leads_back(client: Client, clerk: Any) -> None:
    wrong = client.post("/accounts/login/?next=/live/%3Fpage=2", {"username": "clerk", "password": "no"})
    right = client.post("/accounts/login/?next=/live/%3Fpage=2", {"username": "clerk", "password": "clerk"})

    assert b"errorlist" in wrong.content
    assert right.url == "/live/?page=2"


def test_healthz_asks_nothing_of_the_database(client: Client) -> None:
    response = client.get("/healthz")

    assert (response.status_code, response.content) == (200, b"ok\n")


def test_pages_only_answer_to_reading(page: Client) -> None:
    assert page.post("/live/").status_code == 405


def test_the_pages_need_no_template_of_the_project_around(page: Client, running_run: Run, settings: Any) -> None:
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]

    for address in ("/live/", f"/live/runs/{running_run.id}/"):
        response = page.get(address)
        assert response.status_code == 200
        assert b"<live-connection " in response.content
