"""Door 2: pages, complete without JavaScript, and `/healthz`."""

from __future__ import annotations

from typing import Any

import msgspec
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from live import conf, events, notices, queries, topics

#: The last page of a list; who looks for older runs filters.
MAX_PAGE = 1_000


@never_cache
@require_safe
@login_required
def runs(request: HttpRequest) -> HttpResponse:
    """List the runs that the user may see; the address holds the filter and the page."""
    try:
        filter, page = topics.Filter.from_query(request.GET), _page_number(request.GET.get("page") or "1")
    except topics.BadFilter as error:
        return render(request, "live/bad_filter.html", {"error": error}, status=400)
    viewer = queries.Viewer.of(request.user)
    limit = conf.live.PAGE_ROWS
    found = queries.page(viewer, filter, limit + 1, (page - 1) * limit)
    context = {"viewer": viewer, "filter": filter, "page": page, "limit": limit, "rows": found[:limit]}
    # Rows that new ones push off the page stay live while somebody holds the list.
    context |= {"follow": min(2 * limit, conf.live.MAX_PAGE_ROWS)}
    context |= {
        "kinds": events.KINDS,
        "tasks": sorted({row.task for row in found}),
        "tabs": _tabs(filter, queries.counts(viewer, filter)),
    }
    context |= {"newer": page > 1 and _address(filter, page - 1)}
    context |= {"older": len(found) > limit and page < MAX_PAGE and _address(filter, page + 1)}
    return render(request, "live/runs.html", {**context, "filter_json": events.encode(filter).decode()})


@never_cache
@require_safe
@login_required
def run(request: HttpRequest, run_id: str) -> HttpResponse:
    """Show one run; 404 for one that is not there and for one that is not theirs."""
    viewer = queries.Viewer.of(request.user)
    row = queries.run(viewer, run_id)
    if row is None:
        raise Http404("There is no such run.")
    context: dict[str, Any] = {"row": row, "attempts": queries.attempts(viewer, run_id)}
    if row.owner and row.owner == viewer.username:
        user: Any = request.user
        context |= {"is_own": True, "has_email": bool(getattr(user, user.get_email_field_name(), ""))}
        context |= {"is_asked": notices.is_asked(user, run_id), "is_always_told": notices.is_always_told(user)}
    return render(request, "live/run.html", context)


@never_cache
@require_POST
@login_required
def tell(request: HttpRequest, run_id: str) -> HttpResponse:
    """Note whether the user wants an e-mail when this run of theirs ends, or when any does (`wish`)."""
    viewer, user, page = queries.Viewer.of(request.user), request.user, reverse("live:run", args=[run_id])
    row = queries.run(viewer, run_id)
    if row is None or row.owner != viewer.username or not user.is_authenticated:
        raise Http404("There is no such run of yours.")
    site = request.build_absolute_uri("/").rstrip("/")
    wish = request.POST.get("wish")
    if wish == "once":
        notices.ask(user, run_id, f"{site}{page}")
    elif wish == "not":
        notices.take_back(user, run_id)
    elif wish in ("always", "never"):
        notices.tell_always(user, site, wish == "always")
    else:
        return HttpResponseBadRequest("A wish is once, not, always or never.", content_type="text/plain")
    return redirect(page)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the web process serves; asks neither the database nor Redis."""
    return HttpResponse("ok\n", content_type="text/plain")


def _page_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PAGE)) and 1 <= int(text) <= MAX_PAGE):
        raise topics.BadFilter(f"A page is a number from 1 to {MAX_PAGE:,}, not {text[:50]!r}.")
    return int(text)


def _address(filter: topics.Filter, page: int = 1) -> str:
    parts = [filter.as_query(), f"page={page}" if page > 1 else ""]
    return "?" + "&".join(part for part in parts if part)


def _tabs(filter: topics.Filter, counts: dict[str, int]) -> list[dict[str, Any]]:
    every = {"state": "all", "count": sum(counts.values()), "is_chosen": not filter.state}
    states = [
        {"state": state, "count": counts.get(state, 0), "is_chosen": state in filter.state} for state in events.STATES
    ]
    for tab in (every, *states):
        chosen = () if tab is every else (str(tab["state"]),)
        tab["address"] = _address(msgspec.structs.replace(filter, state=chosen))
    return [every, *states]
