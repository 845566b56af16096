"""Who may open a page: logged in, and with the right that it names when it refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import Permission
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def requires(right: str, *others: str) -> Callable[[View[P]], View[P]]:
    """Refuse a page to users without the right, such as "billing.confirm_invoicerun", and say which one they lack.

    Of several rights one is enough, and the first is the one that a refusal names.
    """

    def decorate(view: View[P]) -> View[P]:
        @login_required
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if any(request.user.has_perm(each) for each in (right, *others)):
                return view(request, *args, **kwargs)
            return refuse(request, right)

        return guarded

    return decorate


def refuse(request: HttpRequest, right: str) -> HttpResponse:
    """Answer that a right is missing, by its name and its code."""
    app, codename = right.split(".")
    found = Permission.objects.filter(content_type__app_label=app, codename=codename).first()
    context = {"right": right, "name": found.name if found else right}
    return render(request, "billing/refused.html", context, status=403)
