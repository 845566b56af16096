"""What the database keeps: runs, their attempts, and how far the log is recorded."""

from __future__ import annotations

from django.db import models
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
