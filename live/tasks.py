"""Tasks of `live` itself, which any worker of the project finds."""

from __future__ import annotations

from smtplib import SMTPException

from celery import shared_task
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import timezone

from live import events, notices
from live.models import Notice, Run

#: Waits between tries grow from seconds to this.
_MAX_WAIT_S = 600


@shared_task(
    name=notices.TASK,
    autoretry_for=(OSError, SMTPException),
    max_retries=8,
    retry_backoff=True,
    retry_backoff_max=_MAX_WAIT_S,
    ignore_result=False,
)
def tell_ended(notice_id: int) -> str:
    """Send the e-mail of one notice, once; return to whom."""
    notice = Notice.objects.select_related("user").filter(pk=notice_id, told_at=None).first()
    if notice is None:
        return "told already, or not wanted any more"
    email = getattr(notice.user, notice.user.get_email_field_name(), "")
    if not email:
        return f"{notice.user} has no e-mail address"
    run = Run.objects.filter(id=notice.run_id).first()
    if run is not None and run.state not in events.ENDED:
        Notice.objects.filter(pk=notice_id, told_at=None).update(queued_at=None)
        return "it goes on after all"
    parts = notices.parts(notice.run_id)
    context = {"notice": notice, "run": run, "parts": sorted(parts.items()), "part_count": sum(parts.values())}
    subject = " ".join(render_to_string("live/mail/ended_subject.txt", context).split())
    # Claimed before it goes: after a crash in between nobody is told twice.
    if not Notice.objects.filter(pk=notice_id, told_at=None).update(told_at=timezone.now()):
        return "told already"
    try:
        send_mail(subject, render_to_string("live/mail/ended.txt", context), None, [email])
    except BaseException:
        Notice.objects.filter(pk=notice_id).update(told_at=None)
        raise
    return email
