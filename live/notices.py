"""Tells users by e-mail that a run of theirs has ended, once all its parts have.

A wish is a `Notice`. The active recorder looks every few seconds which are due, and sends a task for each, which is a
run itself and delivers the message.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.db.models import Exists, F, OuterRef, Q
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from live import events, origin, topics
from live.models import Notice, NoticeDefault, Run

logger = logging.getLogger(__name__)

TASK = "live.tell_ended"
#: Notices looked at in one go.
_MAX_DUE = 100
#: What the column of an address holds; an id of odd letters is written at nine times its length.
_ADDRESS_CHARS = 500
#: A run that ended so long before anybody looked is old news.
_NEWS_HOURS = 1


def ask(user: Any, run_id: str, address: str) -> None:
    """Tell this user when the run ends; asked again after it was told, tell once more."""
    wish = {"address": address, "asked_at": timezone.now(), "queued_at": None, "told_at": None}
    Notice.objects.update_or_create(user=user, run_id=run_id, defaults=wish)


def take_back(user: Any, run_id: str) -> None:
    """Do not tell this user after all."""
    Notice.objects.filter(user=user, run_id=run_id, queued_at=None).delete()


def is_asked(user: Any, run_id: str) -> bool:
    """Whether this user will be told."""
    return Notice.objects.filter(user=user, run_id=run_id, queued_at=None).exists()


def tell_always(user: Any, site: str, wanted: bool) -> None:
    """Tell this user of every run of theirs that a person starts from now on, or of none by itself."""
    if wanted:
        NoticeDefault.objects.get_or_create(user=user, defaults={"site": site})
    else:
        NoticeDefault.objects.filter(user=user).delete()


def is_always_told(user: Any) -> bool:
    """Whether this user is told of every run."""
    return NoticeDefault.objects.filter(user=user).exists()


def send_due() -> int:
    """Send the task for each notice that is due; return how many. What the broker does not take is due again."""
    _ask_by_default()
    sent = 0
    for notice in _due():
        try:
            title = f"Tell {notice.user} that a run has ended"
            current_app.send_task(TASK, (notice.pk,), headers=origin.headers(title, _path(notice.run_id)))
        except OperationalError as error:
            logger.warning("A notice waits. %s", error, extra={"action": "notice_waits", "run_id": notice.run_id})
            break
        Notice.objects.filter(pk=notice.pk).update(queued_at=timezone.now())
        sent += 1
    return sent


def tell_again(rows: Iterable[events.Row]) -> None:
    """Tell anew how runs ended that were told of as lost, they or a part of theirs, and were not."""
    ids = {run_id for row in rows for run_id in (row.id, row.root or "") if topics.is_askable(run_id)}
    if ids:
        Notice.objects.filter(run_id__in=ids).exclude(queued_at=None).update(queued_at=None, told_at=None)


def forget(horizon: datetime) -> None:
    """Remove what was asked before that moment."""
    Notice.objects.filter(asked_at__lt=horizon).delete()


def parts(run_id: str) -> dict[str, int]:
    """Return how many runs that this one sent, itself or through others, are in which state."""
    found: dict[str, int] = {}
    for state in Run.objects.filter(root=run_id).values_list("state", flat=True).iterator():
        found[state] = found.get(state, 0) + 1
    return found


def _due() -> list[Notice]:
    """Notices of runs that have ended, and whose parts have."""
    itself = Run.objects.filter(id=OuterRef("run_id"), state__in=events.ENDED)
    parts_at_work = Run.objects.filter(root=OuterRef("run_id")).exclude(state__in=events.ENDED)
    waiting = Notice.objects.filter(queued_at=None).select_related("user")
    return list(waiting.filter(Exists(itself), ~Exists(parts_at_work)).order_by("asked_at")[:_MAX_DUE])


def _ask_by_default() -> None:
    """Make a notice of each run that ended lately and that its owner wants to be told of by default."""
    defaults = {default.user.get_username(): default for default in NoticeDefault.objects.select_related("user")}
    if not defaults:
        return
    wanted = []
    for run_id, owner, queued_at in _news():
        default = defaults.get(owner)
        if default is not None and queued_at >= default.since:
            address = f"{default.site}{_path(run_id)}"
            if len(address) <= _ADDRESS_CHARS:
                wanted.append(Notice(user=default.user, run_id=run_id, address=address))
    Notice.objects.bulk_create(wanted[:_MAX_DUE], ignore_conflicts=True)


def _news() -> Iterator[tuple[str, str, datetime]]:
    """Yield id, owner and time of the runs that a person started, that ended lately, and that nobody has a notice of.

    Owners are matched by the caller: given them, SQLite walks all runs of theirs instead of the last hour's.
    """
    horizon = timezone.now() - timedelta(hours=_NEWS_HOURS)
    whole = Run.objects.filter(Q(parent=None) | Q(parent=F("id")), kind=events.Kind.AD_HOC)
    untold = whole.filter(~Exists(Notice.objects.filter(run_id=OuterRef("id")))).order_by()
    lost = untold.filter(state=events.State.LOST, finished_at=None, queued_at__gte=horizon)
    for ended in (untold.filter(finished_at__gte=horizon), lost):
        yield from ended.values_list("id", "owner", "queued_at")


def _path(run_id: str) -> str:
    return reverse("live:run", args=[run_id])
