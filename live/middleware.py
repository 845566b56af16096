"""Remembers whose request is being served, so that the runs it sends get their owner."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from live import origin

Handler = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


class OwnerMiddleware:
    """Put it after AuthenticationMiddleware. The user is asked for only when a task is sent.

    An async view has its user loaded once `await request.auser()` was called, as `login_required` does; before that
    its runs have no owner.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request."""
        if iscoroutinefunction(self.get_response):
            return self._serve_async(request)
        token = origin.current_request.set(request)
        try:
            return self.get_response(request)
        finally:
            origin.current_request.reset(token)

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        token = origin.current_request.set(request)
        try:
            return await self.get_response(request)  # type: ignore[misc]
        finally:
            origin.current_request.reset(token)
