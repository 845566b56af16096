"""Write side: Celery's signals become rows. The only place that knows Celery's states and translates them.

Signals come from three kinds of processes: the sender (publish), the worker's main process (received, revoked, hard
time limit, worker lost) and its children (prerun to postrun). Nothing in a handler may block.
"""

from __future__ import annotations

import copy
from contextvars import ContextVar
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from weakref import WeakValueDictionary

from celery import current_task, signals
from celery.exceptions import Ignore, Reject
from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime

from live import conf, current, events, publish, texts

#: The message header that carries what a worker cannot know.
HEADER = "live"
#: What Celery's `Task.replace` ignores the old message with; the run goes on under the same id.
REPLACED = "Replaced by new task"

#: The request being served, kept by OwnerMiddleware; its user owns the runs it sends.
current_request: ContextVar[HttpRequest | None] = ContextVar("live_request", default=None)

#: The requests that this worker's main process holds, for signals that come without the run's start.
_held: WeakValueDictionary[str, Any] = WeakValueDictionary()
_in_beat = False
_boot = current.moment()


def headers(title: str) -> dict[str, Any]:
    """Return headers for `apply_async(..., headers=…)` that give a run its title, as in "Import of march.txt"."""
    return {HEADER: {"title": texts.cut(title, 255)}}


def is_followed(task: str) -> bool:
    """Whether runs of this task are shown (LIVE_IGNORE_TASKS)."""
    return not any(fnmatchcase(task, pattern) for pattern in conf.live.IGNORE_TASKS)


# The sender


def note_publishing(headers: dict[str, Any] | None = None, body: Any = None, **info: Any) -> None:
    """Before a message goes: write its origin into the header. A retry keeps the one it has."""
    if not headers or "id" not in headers or not is_followed(headers.get("task", "")):
        return
    given = headers.get(HEADER) or {}
    args, kwargs = texts.arguments(body[0], body[1], _parameter_names(headers["task"]))
    if given.get("id") != headers["id"]:
        given = {"title": given.get("title", ""), **_origin(headers), "queue": info.get("routing_key") or ""}
    headers[HEADER] = {**given, "args": args, "kwargs": kwargs}


def note_published(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """After the broker took a message: the run is queued. A retry's wait is told by `note_retry`."""
    if headers and HEADER in headers and not headers.get("retries"):
        origin = headers[HEADER]
        publish.publisher().put(_row(headers, events.State.QUEUED, events.Phase.BEFORE, origin["queued_at"]))


def _origin(headers: dict[str, Any]) -> dict[str, Any]:
    request = current_request.get()
    schedule = headers.get("periodic_task_name") or ""
    origin = {"id": headers["id"], "queued_at": current.moment(), "schedule": schedule}
    parent = current_task.request if current_task else None
    inherited = getattr(parent, HEADER, None) or {}
    if parent is not None and parent.id == headers["id"] and inherited:
        return {**inherited}  # the task puts another in its own place (`self.replace`): the same run goes on
    if parent is not None and parent.id and parent.id != headers["id"]:
        return {**origin, "kind": events.Kind.CHILD, "owner": inherited.get("owner", "")}
    if (schedule or _in_beat) and request is None:
        return {**origin, "kind": events.Kind.SCHEDULED, "owner": ""}
    return {**origin, "kind": events.Kind.AD_HOC, "owner": _owner(request)}


def _owner(request: HttpRequest | None) -> str:
    if request is None:
        return ""
    user = getattr(request, "_cached_user", None) or getattr(request, "_acached_user", None)
    try:
        user = user or getattr(request, "user", None)
        return user.get_username() if user is not None and user.is_authenticated else ""
    except SynchronousOnlyOperation:
        return ""


def _parameter_names(task: str) -> tuple[str, ...]:
    from celery import current_app

    found = current_app.tasks.get(task)
    code = getattr(getattr(found, "run", None), "__code__", None)
    if code is None:
        return ()
    names: tuple[str, ...] = code.co_varnames[: code.co_argcount]
    return names[1:] if names[:1] == ("self",) else names


# The worker's main process


def note_received(request: Any, **_: Any) -> None:
    """The worker holds the message. What the child needs to know of it travels in the request's own dictionary."""
    info = request.request_dict
    if not is_followed(info.get("task", "")):
        return
    origin = _origin_of(info)
    info[HEADER] = {**origin, "received_at": max(current.moment(), origin["queued_at"] + 1)}
    _held[request.id] = request
    if not info.get("retries"):
        received_at = info[HEADER]["received_at"]
        publish.publisher().put(_row(info, events.State.RECEIVED, events.Phase.BEFORE, received_at))


def note_revoked(request: Any, terminated: bool = False, expired: bool = False, **_: Any) -> None:
    """The run was cancelled before or while it ran, or its message expired."""
    word = "Expired" if expired else "Terminated" if terminated else "Revoked"
    said = {"Expired": "expired before it started", "Terminated": "stopped while it ran"}
    error = events.Error(type=word, message=said.get(word, "cancelled before it started"))
    _end(vars(request), events.State.CANCELLED, error=error)


def note_unknown(message: Any, exc: Any, name: str, id: str, **_: Any) -> None:
    """No worker code has a task of this name; the worker drops the message."""
    error = events.Error(type="NotRegistered", message=f"the worker knows no task by the name {texts.cut(name, 255)}")
    _end({**message.headers, "id": id, "task": name}, events.State.FAILED, error=error)


def note_rejected(message: Any, exc: Any = None, **_: Any) -> None:
    """The worker cannot read the message and drops it."""
    info = getattr(message, "headers", None) or {}
    if "id" in info and "task" in info:
        _end(info, events.State.FAILED, error=texts.error(exc or ValueError("the worker could not read the message")))


def note_worker_ready(sender: Any, **_: Any) -> None:
    """The worker takes messages: give signs of life, whose end makes its runs `lost`."""
    publish.publisher().keep_alive(sender.hostname, _boot)


def note_worker_shutdown(**_: Any) -> None:
    """The worker has stopped in order."""
    publish.publisher().sign_off()


def note_beat(**_: Any) -> None:
    """This process is beat: what it sends is scheduled, whatever its scheduler."""
    global _in_beat
    _in_beat = True


# The child


def note_started(task_id: str, task: Any, **_: Any) -> None:
    """A try begins."""
    if not is_followed(task.name):
        return
    request = task.request
    info = vars(request)
    row = _row(info, events.State.RUNNING, events.Phase.SINCE, current.moment(), task=task.name)
    row.started_at = current.to_time(row.version.moment)
    current.begin(request, row)
    publish.publisher().put(row)


def note_succeeded(sender: Any, result: Any = None, runtime: float | None = None, **_: Any) -> None:
    """The task returned and its result is stored."""
    _end_of(sender.request, events.State.SUCCEEDED, runtime_s=runtime, result=texts.value(result))


def note_failed(
    sender: Any, task_id: str, exception: Any = None, traceback: Any = None, einfo: Any = None, **_: Any
) -> None:
    """The task raised, or the main process found that it was over its hard limit or that its child was gone."""
    error = texts.error(exception, getattr(einfo, "traceback", None) or traceback)
    request = sender.request
    if request.id == task_id and current.row_of(request) is not None:
        _end_of(request, events.State.FAILED, error=error)
    elif task_id in _held:
        _end(_held[task_id].request_dict, events.State.FAILED, error=error)
    elif request.id == task_id:
        _end(vars(request), events.State.FAILED, error=error, task=sender.name)


def note_internal_error(sender: Any, task_id: str, request: Any = None, exception: Any = None, **info: Any) -> None:
    """Celery itself failed around the task, for instance as the result could not be stored."""
    error = texts.error(exception, getattr(info.get("einfo"), "traceback", None))
    if request is not None and current.row_of(request) is not None:
        _end_of(request, events.State.FAILED, error=error)
    elif request is not None:
        _end(vars(request) if not isinstance(request, dict) else request, events.State.FAILED, error=error)


def note_retry(request: Any, reason: Any = None, einfo: Any = None, **_: Any) -> None:
    """The try is over and another will come."""
    error = texts.error(getattr(reason, "exc", None) or reason, getattr(einfo, "traceback", None)) if reason else None
    _end_of(request, events.State.RETRYING, error=error, eta=_when(getattr(reason, "when", None)))


def note_postrun(sender: Any, retval: Any = None, **_: Any) -> None:
    """Only Ignore and Reject end without a signal of their own; a postrun with SUCCESS is not success."""
    if isinstance(retval, Reject) and retval.requeue:
        _end_of(sender.request, events.State.RETRYING, error=texts.error(retval))
    elif isinstance(retval, Reject):
        _end_of(sender.request, events.State.FAILED, error=texts.error(retval))
    elif isinstance(retval, Ignore) and str(retval) != REPLACED:
        _end_of(sender.request, events.State.CANCELLED, error=events.Error("Ignore", "the task asked to be ignored"))


# Rows


def _end_of(request: Any, state: str, *, runtime_s: float | None = None, **fields: Any) -> None:
    """Announce the end of the try that this process began."""
    begun = current.row_of(request)
    if begun is None:
        if is_followed(vars(request).get("task", "")):
            _end(vars(request), state, **fields)
        return
    row = copy.copy(begun)
    row.state = state
    row.progress = current.progress_of(request)
    row.version = events.Version(begun.attempt, events.Phase.SINCE, current.moment())
    if state != events.State.RETRYING and begun.started_at is not None:
        elapsed = None if runtime_s is None else timedelta(seconds=runtime_s)
        row.finished_at = begun.started_at + elapsed if elapsed else current.to_time(row.version.moment)
    for name, value in fields.items():
        setattr(row, name, value)
    publish.publisher().put(row)


def _end(info: dict[str, Any], state: str, *, task: str = "", **fields: Any) -> None:
    """Announce the end of a run that another process began, or nobody."""
    if not is_followed(info.get("task", task)):
        return
    row = _row(info, state, events.Phase.SINCE, current.moment(), task=task)
    began = getattr(_held.get(row.id), "time_start", None)
    row.started_at = current.to_time(int(began * 1_000_000)) if began else None
    row.finished_at = current.to_time(row.version.moment)
    for name, value in fields.items():
        setattr(row, name, value)
    publish.publisher().put(row)


def _origin_of(info: dict[str, Any]) -> dict[str, Any]:
    """Return the header, or what can be known of a message whose sender does not have `live`."""
    origin = info.get(HEADER)
    if origin and origin.get("id") == info["id"]:
        return origin
    args, kwargs = texts.arguments(info.get("args"), info.get("kwargs"), _parameter_names(info.get("task", "")))
    queue = (info.get("delivery_info") or {}).get("routing_key") or ""
    schedule = info.get("periodic_task_name") or ""
    kind = events.Kind.SCHEDULED if schedule else events.Kind.CHILD if info.get("parent_id") else events.Kind.AD_HOC
    now = current.moment()
    found = {"queued_at": now, "kind": kind, "schedule": schedule, "queue": queue, "args": args, "kwargs": kwargs}
    return {**found, "id": info["id"]}


def _row(info: dict[str, Any], state: str, phase: int, moment: int, task: str = "") -> events.Row:
    origin = _origin_of(info)
    attempt = (info.get("retries") or 0) + 1
    received_at = origin.get("received_at")
    root = info.get("root_id")
    return events.Row(
        id=info["id"],
        task=info.get("task") or task,
        title=origin.get("title", ""),
        state=state,
        kind=origin["kind"],
        schedule=origin["schedule"],
        queue=origin.get("queue", ""),
        worker=(info.get("hostname") or "") if phase or received_at else "",
        owner=origin.get("owner", ""),
        attempt=attempt,
        args=origin["args"],
        kwargs=origin["kwargs"],
        queued_at=current.to_time(origin["queued_at"]),
        received_at=current.to_time(received_at) if received_at else None,
        eta=_when(info.get("eta")),
        parent=info.get("parent_id"),
        root=root if root != info["id"] else None,
        group=info.get("group"),
        version=events.Version(attempt, phase, moment),
    )


def _when(eta: Any) -> datetime | None:
    """Read an ETA: Celery has ISO text in a header, and a time, seconds from now or None in a retry's reason."""
    if isinstance(eta, str):
        try:
            eta = parse_datetime(eta)
        except ValueError:
            return None
    if isinstance(eta, int | float):
        return current.to_time(current.moment()) + timedelta(seconds=eta)
    if isinstance(eta, datetime):
        return eta.astimezone()
    return None


def connect() -> None:
    """Called once per process by the app's `ready`."""
    receivers = {
        signals.before_task_publish: note_publishing,
        signals.after_task_publish: note_published,
        signals.task_received: note_received,
        signals.task_revoked: note_revoked,
        signals.task_unknown: note_unknown,
        signals.task_rejected: note_rejected,
        signals.worker_ready: note_worker_ready,
        signals.worker_shutdown: note_worker_shutdown,
        signals.worker_process_shutdown: publish.flush,
        signals.beat_init: note_beat,
        signals.beat_embedded_init: note_beat,
        signals.task_prerun: note_started,
        signals.task_success: note_succeeded,
        signals.task_failure: note_failed,
        signals.task_internal_error: note_internal_error,
        signals.task_retry: note_retry,
        signals.task_postrun: note_postrun,
    }
    for signal, receiver in receivers.items():
        signal.connect(receiver, weak=False, dispatch_uid=f"live.{receiver.__name__}")
