"""The words of a row, held to the same list as the browser's, and the tag that puts a run on any page."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from django.contrib.auth.models import AnonymousUser
from django.template import Context, RequestContext, Template
from django.test import RequestFactory
from django.utils import translation

from live import events
from live.models import Run
from live.templatetags import words

CASES = json.loads((Path(__file__).parent.parent / "js" / "words.json").read_text(encoding="utf-8"))
NOW = datetime.fromisoformat(CASES["now"])


def row_of(fields: dict[str, Any]) -> events.Row:
    return msgspec.convert({**CASES["blank"], **fields}, events.Row)


def draw(source: str, user: Any, **context: Any) -> str:
    request = RequestFactory().get("/")
    request.user = user
    return Template("{% load live %}" + source).render(RequestContext(request, context))


@pytest.mark.parametrize("name", ["number", "elapsed", "took", "ago"])
def test_numbers_and_durations_read_as_in_the_browser(name: str) -> None:
    for value, text in CASES[name]:
        assert getattr(words, name)(value) == text, f"{name}({value})"


def test_progress_reads_as_in_the_browser() -> None:
    for fields, share, text in CASES["progress"]:
        progress = msgspec.convert(fields, events.Progress) if fields else None
        assert words.percent(progress) == share
        assert words.progress_text(progress) == text


@pytest.mark.parametrize("case", CASES["rows"], ids=lambda case: case["name"])
def test_a_row_reads_as_in_the_browser(case: dict[str, Any]) -> None:
    row = row_of(case["row"])

    texts = words.texts(row)
    mode, before, start, end = words.span(row)

    assert {field: texts[field] for field in case["texts"]} == case["texts"]
    assert " ".join(part for part in (before, words.clock(mode, start, end, NOW)) if part) == case["span"]


def test_a_moment_is_shown_in_utc_with_its_age() -> None:
    moment = datetime.fromisoformat("2026-11-22T13:59:48.123456+02:00")

    assert words.exact(moment) == "2026-11-22 11:59:48.123 UTC"
    assert words.clock("at", moment, None, NOW) == "2026-11-22 11:59:48 UTC · 11 s ago"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_number_that_is_none_is_a_dash(value: float | None) -> None:
    assert words.number(value) == "–"


def test_the_tag_draws_a_run_with_its_progress(running_run: Run, clerk: Any) -> None:
    drawn = draw("{% live_run run %}", clerk, run=running_run.id)

    assert f'data-run-id="{running_run.id}"' in drawn
    assert 'data-state="running"' in drawn
    assert 'value="30"' in drawn
    assert "30 % · 3 of 10 rows" in drawn


def test_the_tag_waits_for_a_run_that_is_not_recorded_yet(clerk: Any) -> None:
    drawn = draw("{% live_run 'just-sent' %}", clerk)

    assert 'data-run-id="just-sent"' in drawn
    assert 'data-state=""' in drawn
    assert "waiting for news" in drawn


def test_the_tag_shows_nothing_of_somebody_elses_run(failed_run: Run, other_clerk: Any) -> None:
    theirs = draw("{% live_run run %}", other_clerk, run=failed_run.id)
    nobodys = draw("{% live_run run %}", other_clerk, run="run-9999")
    anonymous = draw("{% live_run run %}", AnonymousUser(), run=failed_run.id)

    assert "no such charge" not in theirs
    assert (
        theirs.replace(failed_run.id, "X") == nobodys.replace("run-9999", "X") == anonymous.replace(failed_run.id, "X")
    )


def test_runs_of_a_page_are_drawn_with_one_query_in_their_order(
    make_run: Any, clerk: Any, django_assert_num_queries: Any
) -> None:
    for number in range(5):
        make_run("running", id=f"run-{number}", owner=clerk.username)
    ids = ["run-3", "run-9", "run-0", "run-1"]
    with django_assert_num_queries(3):  # the two of the reader's rights, and the runs
        drawn = draw("{% live_runs ids %}", clerk, ids=ids)

    assert re.findall(r'data-run-id="([^"]+)"', drawn) == ids
    assert drawn.count("waiting for news") == 1


def test_a_page_may_ask_whether_a_run_is_hidden_from_its_reader(
    failed_run: Run, clerk: Any, other_clerk: Any, operator: Any
) -> None:
    asked = "{% if run|is_hidden_from:reader %}hidden{% endif %}"

    assert draw(asked, other_clerk, run=failed_run.id, reader=other_clerk) == "hidden"
    assert draw(asked, other_clerk, run="run-9999", reader=other_clerk) == ""
    assert draw(asked, clerk, run=failed_run.id, reader=clerk) == ""
    assert draw(asked, operator, run=failed_run.id, reader=operator) == ""


def test_the_tag_loads_script_and_styles_once_a_page(running_run: Run, clerk: Any) -> None:
    drawn = draw("{% live_run run %}{% for _ in 'ab' %}{% live_run run %}{% endfor %}", clerk, run=running_run.id)

    assert drawn.count("<live-run ") == 3
    assert drawn.count("<script") == drawn.count("live/live.js") == 1
    assert drawn.count("live/live.css") == 1


def test_hostile_text_is_drawn_as_text(make_run: Any, clerk: Any) -> None:
    hostile = "\"><script>alert(1)</script>'"
    run = make_run(
        "running",
        id=hostile,
        title=hostile,
        progress={"current": 1, "total": 2, "unit": hostile, "message": hostile},
        error={"type": hostile, "message": hostile, "traceback": ""},
    )

    drawn = draw("{% live_run run %}", clerk, run=run.id)

    assert "<script>alert" not in drawn
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in drawn


@pytest.mark.parametrize("run_id", ["a\nb", "a/b", "\u2028"])
def test_the_tag_leads_to_the_run_whatever_its_id(clerk: Any, run_id: str) -> None:
    drawn = draw("{% live_run run %}", clerk, run=run_id)

    assert f'href="/live/runs/{quote(run_id)}/"' in drawn


def test_a_page_in_another_language_says_numbers_alike(make_run: Any, clerk: Any) -> None:
    run = make_run("running", progress={"current": 1234.5, "total": 20000, "unit": "rows", "message": ""})

    with translation.override("de"):
        drawn = draw("{% live_run run %}", clerk, run=run.id)

    assert "6 % · 1,234.5 of 20,000 rows" in drawn
    assert 'value="6"' in drawn


def test_a_blank_row_holds_the_place_of_the_id_and_no_texts() -> None:
    drawn = Template(
        "{% load live %}{% blank_row as row %}{{ row.id }}|{% live_words row as words %}{{ words.outcome }}|"
        "{% live_time row 'span' %}"
    ).render(Context())

    assert drawn.startswith("__id__||")
    assert "></live-time>" in drawn


def test_the_box_leads_to_the_projects_own_login(clerk: Any, settings: Any) -> None:
    settings.LOGIN_URL = "/come/in/"

    assert 'data-login-url="/come/in/?next=%2F"' in draw("{% live_run 'just-sent' %}", clerk)
