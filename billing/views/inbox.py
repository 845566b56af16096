"""The Inbox: what the mail sink of ./run caught, only with DEBUG. Nothing in a message runs or loads anything."""

from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from billing import inbox as box
from billing.views.access import requires

MESSAGES_PER_PAGE = 50
#: Sandboxed also when it is opened by itself; pictures only from inside the message.
HTML_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"

P = ParamSpec("P")


def only_with_debug(view: Callable[Concatenate[HttpRequest, P], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Hide a page from sites that serve people."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not settings.DEBUG:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


@only_with_debug
@requires("billing.view_mail")
@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    """List the messages, the newest first."""
    page = Paginator(box.names(settings.BILLING_INBOX_DIR), MESSAGES_PER_PAGE).get_page(request.GET.get("page"))
    headers = [box.header(settings.BILLING_INBOX_DIR, name) for name in page.object_list]
    return render(request, "billing/inbox.html", {"page": page, "headers": headers})


@only_with_debug
@requires("billing.view_mail")
@require_safe
def message(request: HttpRequest, name: str) -> HttpResponse:
    """Show one message: its HTML in a sandboxed frame, its text, and what is attached."""
    read = _read(name)
    context = {
        "name": name,
        "header": box.header_of(name, read),
        "message_id": box.text_of(read, "Message-ID"),
        "has_html": bool(box.body(read, "html")),
        "text": box.body(read, "plain"),
        "attachments": list(box.attachments(read)),
    }
    return render(request, "billing/inbox_message.html", context)


@only_with_debug
@requires("billing.view_mail")
@require_safe
@xframe_options_sameorigin
def html(request: HttpRequest, name: str) -> HttpResponse:
    """Send a message's HTML for the frame."""
    return HttpResponse(box.body(_read(name), "html"), headers={"Content-Security-Policy": HTML_POLICY})


@only_with_debug
@requires("billing.view_mail")
@require_safe
def attachment(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Send an attached file, to be kept and not to be shown."""
    for found in box.attachments(_read(name)):
        if found.number == number:
            return _download(found.content, found.filename)
    raise Http404


@only_with_debug
@requires("billing.view_mail")
@require_safe
def raw(request: HttpRequest, name: str) -> HttpResponse:
    """Send the message as it came."""
    _read(name)
    return _download((settings.BILLING_INBOX_DIR / name).read_bytes(), name)


def _read(name: str) -> EmailMessage:
    try:
        return box.read(settings.BILLING_INBOX_DIR, name)
    except FileNotFoundError as error:
        raise Http404 from error


def _download(content: bytes, filename: str) -> HttpResponse:
    headers = {
        "Content-Disposition": content_disposition_header(True, filename.replace("\n", " ").replace("\r", " ")) or "",
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(content, content_type="application/octet-stream", headers=headers)
