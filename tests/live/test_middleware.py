"""The owner of a run is who is logged in when a view sends it, however the view is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path

from live import origin
from live.middleware import OwnerMiddleware
from tests.live import tasks
from tests.live.workers import wait_for

QUEUE = "nobody-takes-this-either"


def send() -> HttpResponse:
    return HttpResponse(tasks.add.apply_async((1, 2), queue=QUEUE).id)


def sync_view(request: HttpRequest) -> HttpResponse:
    return send()


async def async_view(request: HttpRequest) -> HttpResponse:
    return send()


@login_required
async def guarded_async_view(request: HttpRequest) -> HttpResponse:
    return send()


async def async_view_that_hops(request: HttpRequest) -> HttpResponse:
    await request.auser()
    return await sync_to_async(send)()


def view_of_a_token(request: HttpRequest) -> HttpResponse:
    """Log in as libraries for APIs do: they ask for the user, then set another."""
    assert not request.user.is_authenticated
    request.user = request.token_user  # type: ignore[attr-defined]
    return send()


def broken_view(request: HttpRequest) -> HttpResponse:
    raise LookupError("broken")


urlpatterns = [path(f"{view.__name__}/", view) for view in (sync_view, async_view, guarded_async_view)] + [
    path("async_view_that_hops/", async_view_that_hops),
    path("broken_view/", broken_view),
]


@pytest.fixture(autouse=True)
def addresses(settings: Any) -> Iterator[None]:
    """Serve the views above."""
    settings.ROOT_URLCONF = __name__
    yield


@pytest.fixture
async def asgi() -> AsyncIterator[None]:
    """Close the connections that views opened in the one thread of all sync code."""
    yield
    await sync_to_async(connections.close_all)()


def owner_of(response: Any) -> str:
    return wait_for(response.content.decode(), "queued").owner


@pytest.mark.parametrize("view", ["sync_view", "guarded_async_view", "async_view_that_hops"])
def test_a_view_under_wsgi_sends_runs_of_who_is_logged_in(client: Client, clerk: Any, view: str) -> None:
    client.force_login(clerk)

    assert owner_of(client.get(f"/{view}/")) == "clerk"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("view", ["sync_view", "guarded_async_view", "async_view_that_hops"])
async def test_a_view_under_asgi_sends_runs_of_who_is_logged_in(
    asgi: None, async_client: AsyncClient, django_user_model: Any, view: str
) -> None:
    user = await sync_to_async(django_user_model.objects.create_user)("clerk")
    await async_client.aforce_login(user)

    response = await async_client.get(f"/{view}/")

    assert await sync_to_async(owner_of)(response) == "clerk"


@pytest.mark.django_db
@pytest.mark.parametrize("view", ["sync_view", "async_view", "async_view_that_hops"])
def test_a_run_of_a_stranger_has_no_owner(client: Client, view: str) -> None:
    assert owner_of(client.get(f"/{view}/")) == ""


@pytest.mark.django_db(transaction=True)
async def test_an_async_view_that_never_asked_who_is_there_sends_runs_of_nobody(
    asgi: None, async_client: AsyncClient, django_user_model: Any
) -> None:
    user = await sync_to_async(django_user_model.objects.create_user)("clerk")
    await async_client.aforce_login(user)

    response = await async_client.get("/async_view/")

    assert response.status_code == 200
    assert await sync_to_async(owner_of)(response) == ""


def test_a_user_that_was_set_later_owns_the_run(clerk: Any, rf: RequestFactory) -> None:
    request: Any = rf.get("/")
    request.user = request._cached_user = AnonymousUser()
    request.token_user = clerk

    response = OwnerMiddleware(view_of_a_token)(request)

    assert owner_of(response) == "clerk"


def test_a_request_that_is_over_owns_nothing(client: Client, clerk: Any) -> None:
    client.force_login(clerk)

    client.get("/sync_view/")
    with pytest.raises(LookupError):
        client.get("/broken_view/")

    assert origin.current_request.get() is None


def test_the_user_is_not_asked_for_unless_a_task_is_sent(
    client: Client, clerk: Any, django_assert_num_queries: Callable[[int], Any]
) -> None:
    client.force_login(clerk)

    with django_assert_num_queries(0), pytest.raises(LookupError):
        client.get("/broken_view/")


def test_the_middleware_is_as_async_as_what_is_inside_it() -> None:
    async def inside(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(origin.current_request.get() is request))

    middleware = OwnerMiddleware(inside)
    response: Any = async_to_sync(middleware)(HttpRequest())  # type: ignore[arg-type]

    assert iscoroutinefunction(middleware)
    assert not iscoroutinefunction(OwnerMiddleware(sync_view))
    assert response.content == b"True"
