"""Write side: Celery's signals become rows. The only place that knows Celery's states and translates them.

Signals come from three kinds of processes: the sender (publish), the worker's main process (received, revoked, hard
time limit, worker lost) and its children (prerun to postrun). Nothing in a handler may block.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

import msgspec
from celery import current_app, signals, states
from celery.backends.base import DisabledBackend
from celery.exceptions import Ignore, Reject

from live import conf, current, events, origin, publish, stream, texts

#: What Celery's `Task.replace` ignores the old message with; the run goes on under the same id.
REPLACED = "Replaced by new task"

#: Runs that a heartbeat names at most: 40 KB.
_HOLDING_RUNS = 1_000
#: The requests that this worker's main process holds, for signals that come without the run's start.
_held: WeakValueDictionary[str, Any] = WeakValueDictionary()
_boot = current.moment()


# The sender


def note_publishing(headers: dict[str, Any] | None = None, body: Any = None, **info: Any) -> None:
    """Before a message goes: write its origin into the header, also for a task that is not followed itself."""
    if headers and "id" in headers and "task" in headers:
        origin.write(headers, body[0], body[1], info.get("routing_key") or "")


def note_published(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """After the broker took a message: the run is queued. A retry's wait is told by `note_retry`."""
    if headers and origin.HEADER in headers and not headers.get("retries") and origin.is_followed(headers["task"]):
        known = origin.of_message(headers)
        publish.publisher().put(_row(headers, known, events.State.QUEUED, events.Phase.BEFORE, known.queued_at))


# The worker's main process


def note_received(request: Any, **_: Any) -> None:
    """The worker holds the message. What the child needs to know of it travels in the request's own dictionary."""
    info = request.request_dict
    if not origin.is_followed(info["task"]):
        return
    known = origin.note_received(info)
    _held[request.id] = request
    if not info.get("retries"):
        moment = known.received_at or current.moment()
        publish.publisher().put(_row(info, known, events.State.RECEIVED, events.Phase.BEFORE, moment))


def note_revoked(request: Any, terminated: bool = False, expired: bool = False, **_: Any) -> None:
    """The run was cancelled before or while it ran, or its message expired."""
    word = "Expired" if expired else "Terminated" if terminated else "Revoked"
    said = {"Expired": "expired before it started", "Terminated": "stopped while it ran"}
    error = events.Error(type=word, message=said.get(word, "cancelled before it started"))
    _end(vars(request), events.State.CANCELLED, error=error)


def note_unknown(message: Any, name: str, id: str, sender: Any = None, **_: Any) -> None:
    """No worker code has a task of this name; the worker drops the message."""
    error = events.Error(type="NotRegistered", message=f"the worker knows no task by the name {_name(name)}")
    known = {**(message.headers or {}), "id": id, "task": name}
    _end({**known, "hostname": getattr(sender, "hostname", "")}, events.State.FAILED, error=error)


def note_rejected(message: Any, exc: Any = None, **_: Any) -> None:
    """The worker cannot read the message and drops it."""
    info = getattr(message, "headers", None) or {}
    if "id" in info and "task" in info:
        _end(info, events.State.FAILED, error=texts.error(exc or ValueError("the worker could not read the message")))


def note_worker_ready(sender: Any, **_: Any) -> None:
    """The worker takes messages: give signs of life, whose end makes its runs `lost`."""
    publish.publisher().keep_alive(sender.hostname, _boot, _holding)


def _holding() -> stream.Holding | None:
    """Return what this worker has in hand, or None when that is too much to say every few seconds."""
    from celery.worker import state  # slow to import, and there in a worker

    # Celery's own list lacks what waits under a rate limit. Both are copied first: the publish thread asks.
    held = [request for ref in _held.valuerefs() if (request := ref()) is not None and request.time_start is None]
    ids = list({_id(run_id) for run_id in [*list(state.requests), *(request.id for request in held)]})
    return stream.Holding(current.moment(), ids) if len(ids) <= _HOLDING_RUNS else None


def note_worker_shutdown(**_: Any) -> None:
    """The worker has stopped in order."""
    publish.publisher().sign_off()


# The child


def note_started(task_id: str, task: Any, **_: Any) -> None:
    """A try begins."""
    if not origin.is_followed(task.name):
        return
    request = task.request
    info = {**vars(request), "task": task.name}
    row = _row(info, origin.of_message(info), events.State.RUNNING, events.Phase.SINCE, current.moment())
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
    request, held = sender.request, _held.get(task_id)
    if request.id == task_id and (held is None or current.row_of(request) is not None):
        _end_of(request, events.State.FAILED, error=error)
    elif held is not None:
        _end(held.request_dict, events.State.FAILED, error=error)


def note_internal_error(sender: Any, task_id: str, request: Any = None, exception: Any = None, **info: Any) -> None:
    """Celery itself failed around the task, for instance as the result could not be stored."""
    error = texts.error(exception, getattr(info.get("einfo"), "traceback", None))
    if request is not None:
        _end(request if isinstance(request, dict) else vars(request), events.State.FAILED, error=error)


def note_retry(request: Any, reason: Any = None, einfo: Any = None, **_: Any) -> None:
    """The try is over and another will come."""
    error = texts.error(getattr(reason, "exc", None) or reason, getattr(einfo, "traceback", None)) if reason else None
    _end_of(request, events.State.RETRYING, error=error, eta=_when(getattr(reason, "when", None)))


def note_postrun(sender: Any, retval: Any = None, **_: Any) -> None:
    """Only Ignore and Reject end without a signal of their own; a postrun with SUCCESS is not success."""
    if isinstance(retval, Reject):
        # A message that was acknowledged before the task began cannot go back to the queue.
        comes_back = retval.requeue and sender.acks_late
        state = events.State.RETRYING if comes_back else events.State.FAILED
        _end_of(sender.request, state, error=texts.error(retval))
    elif isinstance(retval, Ignore) and str(retval) == REPLACED:
        # No worker has it until the last of what stands in its place runs under its id.
        _end_of(sender.request, events.State.RUNNING, worker="")
    elif isinstance(retval, Ignore):
        _end_of(sender.request, events.State.CANCELLED, error=events.Error("Ignore", "the task asked to be ignored"))


# What the result backend knows


def stored_end(row: events.Row) -> events.Row | None:
    """Return the row as the result backend tells its end, or None when it knows of none.

    Called by the sweeper for a run whose worker can no longer tell it. Raises what the backend raises.
    """
    if isinstance(current_app.backend, DisabledBackend):
        return None
    # Without the backend's own retries, which may go on for minutes. Celery's RPC backend has no such method.
    meta = getattr(current_app.backend, "_get_task_meta_for", current_app.backend.get_task_meta)(row.id)
    version = events.Version(row.attempt, events.Phase.SINCE, row.version.moment + 1)
    ended = msgspec.structs.replace(row, version=version, finished_at=_when(meta.get("date_done")) or datetime.now(UTC))
    match meta.get("status"):
        case states.SUCCESS:
            return msgspec.structs.replace(ended, state=events.State.SUCCEEDED, result=texts.value(meta.get("result")))
        case states.FAILURE:
            error = texts.error(meta.get("result"), meta.get("traceback"))
            return msgspec.structs.replace(ended, state=events.State.FAILED, error=error)
        case states.REVOKED:
            error = events.Error(type="Revoked", message="cancelled")
            return msgspec.structs.replace(ended, state=events.State.CANCELLED, error=error)
    return None


# Rows


def _end_of(request: Any, state: str, *, runtime_s: float | None = None, **fields: Any) -> None:
    """Announce the end of the try that this thread executes."""
    begun = current.row_of(request)
    if begun is None:
        _end(vars(request), state, **fields)
        return
    row = _ended(begun, state, fields)
    row.progress = current.progress_of(request)
    if row.finished_at and begun.started_at and runtime_s is not None:
        row.finished_at = begun.started_at + timedelta(seconds=runtime_s)
    publish.publisher().put(events.at_the_end(row))


def _end(info: dict[str, Any], state: str, **fields: Any) -> None:
    """Announce the end of a run whose execution is not at hand: another process began it, or nobody."""
    if "id" not in info or not origin.is_followed(info.get("task") or ""):
        return
    row = _row(info, origin.of_message(info), state, events.Phase.SINCE, current.moment())
    begun = current.last_row()
    if begun is not None and (begun.id, begun.attempt) == (row.id, row.attempt):
        row = begun  # Celery failed when the execution was over, and its request gone
    elif (began := getattr(_held.get(row.id), "time_start", None)) is not None:
        row.started_at = current.to_time(int(began * 1_000_000))
    publish.publisher().put(_ended(row, state, fields))


def _ended(row: events.Row, state: str, fields: dict[str, Any]) -> events.Row:
    """Return the row with the end of its try."""
    version = events.Version(row.attempt, events.Phase.SINCE, current.moment())
    finished_at = current.to_time(version.moment) if state in events.ENDED else None
    return msgspec.structs.replace(row, state=state, version=version, finished_at=finished_at, **fields)


def _row(info: dict[str, Any], known: origin.Origin, state: str, phase: int, moment: int) -> events.Row:
    attempt = (info.get("retries") or 0) + 1
    run_id, root = _id(info["id"]), _id(info.get("root_id"))
    # What runs eagerly runs in no worker, so there is none that could be gone.
    has_worker = (phase or known.received_at) and not info.get("is_eager")
    return events.Row(
        id=run_id,
        task=_name(info["task"]),
        title=_name(known.title),
        link=known.link,
        state=state,
        kind=known.kind,
        schedule=_name(known.schedule),
        queue=_name(known.queue),
        worker=_name(info.get("hostname")) if has_worker else "",
        owner=_name(known.owner),
        attempt=attempt,
        args=texts.cut(known.args, conf.live.TEXT_CHARS),
        kwargs=texts.cut(known.kwargs, conf.live.TEXT_CHARS),
        queued_at=current.to_time(known.queued_at),
        received_at=current.to_time(known.received_at) if known.received_at else None,
        eta=_when(info.get("eta")),
        parent=_id(info.get("parent_id")) or None,
        root=root if root and root != run_id else None,
        group=_id(info.get("group")) or None,
        version=events.Version(attempt, phase, moment),
    )


def _name(given: Any) -> str:
    """Write a name as the database's columns hold it; "" for none."""
    return texts.say(given, origin.NAME_CHARS) if given else ""


def _id(given: Any) -> str:
    """Write an id whole, "" for none: cut, it would be another run's. One that is too long, the recorder refuses."""
    return texts.clean(str(given)) if given else ""


def _when(eta: Any) -> datetime | None:
    """Read an ETA: Celery has ISO text in a header, and a time, seconds from now or None in a retry's reason."""
    try:
        if isinstance(eta, int | float):
            return datetime.now(UTC) + timedelta(seconds=eta)
        if isinstance(eta, str):
            eta = datetime.fromisoformat(eta)
        if not isinstance(eta, datetime):
            return None
        return (eta if eta.tzinfo else eta.replace(tzinfo=current_app.timezone)).astimezone(UTC)
    except (ValueError, OverflowError):
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
        signals.beat_init: origin.note_beat,
        signals.beat_embedded_init: origin.note_beat,
        signals.task_prerun: note_started,
        signals.task_success: note_succeeded,
        signals.task_failure: note_failed,
        signals.task_internal_error: note_internal_error,
        signals.task_retry: note_retry,
        signals.task_postrun: note_postrun,
    }
    for signal, receiver in receivers.items():
        signal.connect(receiver, weak=False, dispatch_uid=f"live.{receiver.__name__}")
