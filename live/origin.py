"""Where a run comes from: what travels in its message's header, as a worker cannot know it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextvars import ContextVar
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from celery import current_app, current_task
from django.core.exceptions import SynchronousOnlyOperation
from django.core.signals import setting_changed
from django.db import DatabaseError
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.functional import LazyObject

from live import conf, current, events, texts

logger = logging.getLogger(__name__)

#: The message header that carries an origin.
HEADER = "live"
NAME_CHARS = 255  # of a title, a task, a queue, …: what the database's columns hold

#: The request being served, kept by OwnerMiddleware; its user owns the runs it sends.
current_request: ContextVar[HttpRequest | None] = ContextVar("live_request", default=None)

_in_beat = False
#: Microseconds since 1970, up to the year 2112.
_Moment = Annotated[int, msgspec.Meta(ge=0, lt=2**52)]
#: A path of this site or nothing: a header may come from anywhere, and a page makes a link of it.
_Path = Annotated[str, msgspec.Meta(pattern=r"^(/([^/\\\s][^\\\s]*)?)?$", max_length=NAME_CHARS)]


class Origin(msgspec.Struct, frozen=True):
    """Who sent a run, when and why; read from a header, which anybody may have written."""

    id: str
    kind: events.Kind
    queued_at: _Moment
    title: str = ""
    link: _Path = ""
    schedule: str = ""
    queue: str = ""
    owner: str = ""
    args: str = "[]"
    kwargs: str = "{}"
    #: None until a worker has the message.
    received_at: _Moment | None = None


def headers(title: str, link: str = "") -> dict[str, Any]:
    """Return headers for `apply_async(..., headers=…)` that give a run its title, as in "Import of march.txt".

    `link` leads from the run to what it works on: a path of this site, such as "/billing/imports/7/".
    """
    return {HEADER: {"title": texts.say(title, NAME_CHARS), "link": texts.say(link, NAME_CHARS) if link else ""}}


@lru_cache(maxsize=4_096)
def is_followed(task: str) -> bool:
    """Whether runs of this task are shown (LIVE_IGNORE_TASKS)."""
    return not any(fnmatchcase(task, pattern) for pattern in conf.live.IGNORE_TASKS)


@receiver(setting_changed)
def _forget_followed(**_: Any) -> None:
    is_followed.cache_clear()


def note_beat(**_: Any) -> None:
    """This process is beat: what it sends is scheduled, whatever its scheduler."""
    global _in_beat
    _in_beat = True


def write(message: dict[str, Any], args: Any, kwargs: Any, queue: str) -> None:
    """Write the origin into a message's headers, before it goes. A retry keeps the one it has."""
    known = _read(message.get(HEADER), message["id"]) or _begin(message, queue)
    args, kwargs = texts.arguments(args, kwargs, _parameter_names(message["task"]))
    # A new dictionary: the given one may be shared by all messages of a group.
    message[HEADER] = msgspec.structs.asdict(msgspec.structs.replace(known, args=args, kwargs=kwargs))


def of_message(message: dict[str, Any]) -> Origin:
    """Return a message's origin, or what can be known of one whose sender does not have `live`."""
    known = _read(message.get(HEADER), message["id"])
    if known is not None:
        return known
    args, kwargs = message.get("args"), message.get("kwargs")
    args, kwargs = texts.arguments(args, kwargs, _parameter_names(message.get("task") or ""))
    schedule = texts.say(message.get("periodic_task_name") or "", NAME_CHARS)
    kind = events.Kind.SCHEDULED if schedule else events.Kind.CHILD if message.get("parent_id") else events.Kind.AD_HOC
    is_eager = message.get("is_eager")
    return Origin(
        id=str(message["id"]),
        kind=kind,
        queued_at=current.moment(),
        title=_title((message.get("headers") or {}).get(HEADER)) if is_eager else "",
        link=_link((message.get("headers") or {}).get(HEADER)) if is_eager else "",
        schedule=schedule,
        queue=texts.say((message.get("delivery_info") or {}).get("routing_key") or "", NAME_CHARS),
        owner=_owner(current_request.get()) if is_eager else "",
        args=args,
        kwargs=kwargs,
    )


def note_received(message: dict[str, Any]) -> Origin:
    """Write into a message that a worker has it now; its child reads this."""
    known = of_message(message)
    received_at = max(current.moment(), known.queued_at + 1)
    known = msgspec.structs.replace(known, received_at=received_at)
    message[HEADER] = msgspec.structs.asdict(known)
    return known


def _read(header: Any, run_id: Any) -> Origin | None:
    """Read a header; None when it is another run's, or not one of ours."""
    if not isinstance(header, dict) or header.get("id") != str(run_id):
        return None
    try:
        return msgspec.convert(header, Origin)
    except msgspec.ValidationError as error:
        logger.info("A header is not ours. %s", error, extra={"action": "header_foreign", "run_id": run_id})
        return None


def _title(header: Any) -> str:
    """Return the title that `headers` gave. A header with an id was another run's and came along by chance."""
    given = header.get("title") if isinstance(header, dict) and "id" not in header else None
    return texts.say(given, NAME_CHARS) if given else ""


def _link(header: Any) -> str:
    """Return the link that `headers` gave, if it is a path of this site."""
    given = header.get("link") if isinstance(header, dict) and "id" not in header else None
    try:
        return msgspec.convert(given or "", _Path)
    except msgspec.ValidationError:
        return ""


def _begin(message: dict[str, Any], queue: str) -> Origin:
    schedule = texts.say(message.get("periodic_task_name") or "", NAME_CHARS)
    request = current_request.get()
    parent = current_task.request if current_task else None
    if parent is not None and parent.id:
        inherited = _read(getattr(parent, HEADER, None), parent.id)
        if inherited is not None and parent.id == message["id"]:
            return inherited  # the task puts another in its own place (`self.replace`): the same run goes on
        kind, owner = events.Kind.CHILD, inherited.owner if inherited else ""
    elif (schedule or _in_beat) and request is None:
        kind, owner = events.Kind.SCHEDULED, ""
    else:
        kind, owner = events.Kind.AD_HOC, _owner(request)
    title, link = _title(message.get(HEADER)), _link(message.get(HEADER))
    return Origin(str(message["id"]), kind, current.moment(), title, link, schedule, queue, owner)


def _owner(request: HttpRequest | None) -> str:
    """Return the username of who is logged in; "" for nobody."""
    try:
        user = getattr(request, "user", None)
        if isinstance(user, LazyObject):
            # What `await request.auser()` loaded, if it did: in an async view no query is allowed here.
            user = getattr(request, "_acached_user", user)
        return str(user.get_username()) if user is not None and user.is_authenticated else ""
    except SynchronousOnlyOperation:
        return ""
    except DatabaseError as error:
        logger.warning("A run has no owner. %s", error, extra={"action": "owner_unknown"})
        return ""


def _parameter_names(task: str) -> tuple[str, ...]:
    found = current_app.tasks.get(task)
    return _positional_names(found.run) if found is not None else ()


@lru_cache(maxsize=1_024)
def _positional_names(run: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names by position, behind `self` and whatever decorators, `autoretry_for` among them."""
    try:
        parameters = inspect.signature(run).parameters.values()
    except (TypeError, ValueError):
        return ()
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(parameter.name for parameter in parameters if parameter.kind in by_position)
