"""Files that people asked for."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from billing.models.states import WorkState


class LedgerExport(models.Model):
    """A ledger of a period as a file, which only who asked for it can fetch, for a day."""

    class Format(models.TextChoices):
        """What file it is."""

        CSV = "csv", "CSV"
        XLSX = "xlsx", "XLSX"

    State = WorkState

    format = models.CharField(_("format"), max_length=8, choices=Format)
    period_start = models.DateField(_("from"))
    period_end = models.DateField(_("to"))
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.WAITING)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", verbose_name=_("asked by")
    )
    asked_at = models.DateTimeField(_("asked at"), auto_now_add=True)
    run_id = models.CharField(_("run"), max_length=36, blank=True)
    file = models.FileField(_("file"), upload_to="billing/exports/", blank=True)
    row_count = models.PositiveIntegerField(_("rows"), default=0)
    expires_at = models.DateTimeField(_("expires at"), null=True)
    error = models.CharField(_("error"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("ledger export")
        verbose_name_plural = _("ledger exports")
        ordering = ["-asked_at", "-id"]

    def __str__(self) -> str:
        return f"{self.period_start} – {self.period_end} ({self.format})"

    def get_absolute_url(self) -> str:
        """The export's page."""
        return reverse("billing:ledger_export", args=[self.pk])
