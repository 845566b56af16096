"""What templates load: `{% live_run run_id %}` for any page, and the slots of our own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from django import template
from django.conf import settings
from django.shortcuts import resolve_url
from django.utils import timezone

from live import events, queries
from live.templatetags import words

register = template.Library()

#: Stands in the row of a `<template>` where the script puts the id of a run.
ANY_ID = "__id__"
_ASSETS = "live_assets"


@register.inclusion_tag("live/_run_boxes.html", takes_context=True)
def live_run(context: template.RequestContext, run_id: str) -> dict[str, Any]:
    """Draw a run's state, kept live by the script; "waiting for news" while it is not known, or not to be seen.

    A page follows 80 different runs at most; the boxes beyond say that they are not live. The element sends a bubbling
    `live:ended`, with the row as detail, when the run ends while the page watches.
    """
    return live_runs(context, [run_id])


@register.inclusion_tag("live/_run_boxes.html", takes_context=True)
def live_runs(context: template.RequestContext, run_ids: Iterable[str]) -> dict[str, Any]:
    """Draw what `live_run` draws for each of several runs, with one query for all."""
    request = context["request"]
    viewer = queries.Viewer.of(request.user)
    ids = [str(run_id) for run_id in run_ids]
    known = {run_id: row for run_id, row in queries.rows_by_id(ids).items() if viewer.may_see(row)}
    needs_assets = not context.render_context.get(_ASSETS)
    context.render_context[_ASSETS] = True
    boxes = [{"row": known.get(run_id) or blank_row(run_id), "is_known": run_id in known} for run_id in ids]
    return {"request": request, "boxes": boxes, "needs_assets": needs_assets}


@register.filter
def is_hidden_from(run_id: str, user: Any) -> bool:
    """Whether a run is recorded and not the user's to see: for a page that would rather say so than draw its box."""
    row = queries.rows_by_id([str(run_id)]).get(str(run_id))
    return row is not None and not queries.Viewer.of(user).may_see(row)


@register.simple_tag
def login_url() -> str:
    """Return the project's own LOGIN_URL."""
    return resolve_url(settings.LOGIN_URL)


@register.simple_tag
def blank_row(run_id: str = ANY_ID) -> events.Row:
    """Return a row without content, for a `<template>` that the script clones."""
    return events.Row(id=run_id, task="", state="", kind="", version=events.Version(0, 0, 0))


@register.simple_tag
def live_words(row: events.Row) -> dict[str, str]:
    """Return the texts of a row's slots: `{% live_words row as words %}`."""
    return words.texts(row)


@register.filter
def number(value: float) -> str:
    """Write a number as the script does, whatever the language of the request."""
    return words.number(value)


@register.filter
def kind_word(kind: str) -> str:
    """Say a kind as people do."""
    return words.KIND_WORDS.get(kind, kind)


@register.filter
def percent(row: events.Row) -> str:
    """Return how far a run is as the value of a `<progress>`; "" while the total is unknown."""
    share = words.percent(row.progress)
    return "" if share is None else str(share)


@register.inclusion_tag("live/_time.html")
def live_time(row: events.Row, field: str, mode: str = "ago") -> dict[str, Any]:
    """Draw one time of a row, which ticks by the script: the name of a field, or "span" for what its state lasts."""
    shown = words.span(row) if field == "span" else words.Span(mode, "", getattr(row, field), None)
    return {
        "field": field,
        "span": shown,
        "start": words.iso(shown.start) if shown.start else "",
        "end": words.iso(shown.end) if shown.end else "",
        "exact": " – ".join(words.exact(moment) for moment in (shown.start, shown.end) if moment),
        "text": words.clock(shown.mode, shown.start, shown.end, timezone.now()),
    }


@register.filter
def as_rows(attempts: Sequence[queries.AttemptRow], row: events.Row) -> list[events.Row]:
    """Draw a run's attempts as rows: what the run was during each."""
    return [
        msgspec.structs.replace(
            row,
            attempt=attempt.number,
            state=attempt.state,
            worker=attempt.worker,
            started_at=attempt.started_at,
            finished_at=attempt.finished_at,
            error=attempt.error,
            eta=None,
        )
        for attempt in attempts
    ]
