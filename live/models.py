"""What the database keeps: runs, their attempts, and how far the log is recorded."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from live import events


class Run(models.Model):
    """One execution of a task. Fields are the row's; the recorder is the only writer."""

    id = models.CharField(max_length=255, primary_key=True, help_text=_("Celery's task id."))
    task = models.CharField(max_length=255)
    title = models.CharField(max_length=255, blank=True)
    link = models.CharField(max_length=255, blank=True, help_text=_("A path of this site: what it works on."))
    state = models.CharField(max_length=16, choices=[(state, state) for state in events.STATES])
    kind = models.CharField(max_length=16, choices=[(kind, kind) for kind in events.KINDS])
    schedule = models.CharField(max_length=255, blank=True)
    queue = models.CharField(max_length=255, blank=True)
    worker = models.CharField(max_length=255, blank=True)
    owner = models.CharField(max_length=255, blank=True, help_text=_("Username of the user on whose behalf it runs."))
    attempt = models.PositiveIntegerField(default=1)
    progress = models.JSONField(null=True, blank=True)
    args = models.TextField(blank=True)
    kwargs = models.TextField(blank=True)
    result = models.TextField(null=True, blank=True)  # noqa: DJ001  null means that there is none yet
    error = models.JSONField(null=True, blank=True)
    queued_at = models.DateTimeField()
    received_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    eta = models.DateTimeField(null=True, blank=True)
    parent = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001
    root = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001
    group = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001
    #: The row's version: (attempt, phase, moment in microseconds).
    version_attempt = models.PositiveIntegerField()
    version_phase = models.PositiveSmallIntegerField()
    version_moment = models.BigIntegerField()

    class Meta:
        ordering = ["-queued_at", "id"]
        indexes = [
            models.Index(fields=["-queued_at", "id"], name="live_run_newest"),
            models.Index(fields=["state", "-queued_at"], name="live_run_state"),
            models.Index(fields=["owner", "-queued_at"], name="live_run_owner"),
            models.Index(fields=["task", "-queued_at"], name="live_run_task"),
            models.Index(fields=["root"], name="live_run_root", condition=models.Q(root__isnull=False)),
            models.Index(fields=["finished_at"], name="live_run_ended", condition=models.Q(kind=events.Kind.AD_HOC)),
        ]
        permissions = [("view_all_runs", _("Can see the runs of everybody"))]

    def __str__(self) -> str:
        return f"{self.title or self.task} [{self.state}]"


class Attempt(models.Model):
    """One try of a run."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField(help_text=_("Counted from 1."))
    state = models.CharField(max_length=16, choices=[(state, state) for state in events.STATES])
    worker = models.CharField(max_length=255, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="live_attempt_once")]

    def __str__(self) -> str:
        return f"{self.run_id} attempt {self.number} [{self.state}]"


class Notice(models.Model):
    """A user's wish to be told by e-mail when a run of theirs ends, and whether that is done."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    #: Not a foreign key: the recorder may not know the run yet, and removes it one day.
    run_id = models.CharField(max_length=255)
    address = models.URLField(max_length=500, help_text=_("The run's page."))
    asked_at = models.DateTimeField(default=timezone.now)
    queued_at = models.DateTimeField(null=True, blank=True, help_text=_("When a task was sent that tells it."))
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run_id", "user"], name="live_notice_once")]
        indexes = [models.Index(fields=["run_id"], name="live_notice_due", condition=models.Q(queued_at=None))]

    def __str__(self) -> str:
        return f"{self.user} about {self.run_id}"


class NoticeDefault(models.Model):
    """A user who wants to be told of every run of theirs that a person started."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", primary_key=True)
    since = models.DateTimeField(default=timezone.now)
    site = models.URLField(max_length=200, help_text=_("What the address of a run's page begins with."))

    def __str__(self) -> str:
        return str(self.user)


class LogPosition(models.Model):
    """How far the log is recorded: one record, written in the same transaction as the rows up to it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    epoch = models.CharField(max_length=64, blank=True)
    seq = models.BigIntegerField(default=0)
    recorded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="live_one_log_position")]

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"
