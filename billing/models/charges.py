"""What is billed: charges, and the imports that brought them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing.company import today
from billing.fields import MoneyField
from billing.formats import FORMATS
from billing.models.customers import Customer
from billing.models.states import WorkState
from billing.reasons import Reason

STALLED_AFTER = timedelta(seconds=60)
MAX_REJECTED_CHARS = 200


class ImportQuerySet(models.QuerySet["ChargeImport"]):
    """Imports, and who may see which."""

    def visible_to(self, user: Any) -> ImportQuerySet:
        """Own imports; with permission `billing.view_chargeimport` all."""
        return self if user.has_perm("billing.view_chargeimport") else self.filter(uploaded_by=user)


class ChargeImport(models.Model):
    """One file of purchases, and how far it is billed; the position moves in the transaction of its charges."""

    State = WorkState

    file = models.FileField(_("file"), upload_to="billing/imports/", max_length=255)
    name = models.CharField(_("name"), max_length=255, help_text=_("What the file was called where it came from."))
    sha256 = models.CharField("SHA-256", max_length=64, unique=True, help_text=_("A file is its content."))
    format = models.CharField(
        _("format"), max_length=16, choices=[(name, known.label) for name, known in FORMATS.items()]
    )
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.WAITING)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, verbose_name=_("uploaded by"))
    uploaded_at = models.DateTimeField(_("uploaded at"), auto_now_add=True)
    run_id = models.CharField(_("run"), max_length=36, blank=True, help_text=_("Empty: no worker was told yet."))
    error = models.CharField(_("error"), max_length=500, blank=True)
    lines_total = models.PositiveIntegerField(_("lines of the file"))
    #: The position: what lies before it is billed or rejected, once.
    bytes_read = models.PositiveBigIntegerField(_("bytes read"), default=0)
    lines_read = models.PositiveIntegerField(_("lines read"), default=0)
    moved_at = models.DateTimeField(_("moved at"), default=timezone.now)
    starts = models.PositiveSmallIntegerField(_("starts at this position"), default=0)
    charge_count = models.PositiveIntegerField(_("charges"), default=0)
    rejected_count = models.PositiveIntegerField(_("rejected lines"), default=0)
    amount_total = MoneyField(_("total"), default=Decimal("0.00"))
    currency = models.CharField(_("currency"), max_length=3)

    objects = ImportQuerySet.as_manager()

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering = ["-uploaded_at", "-id"]
        indexes = [models.Index(fields=["-uploaded_at", "-id"], name="billing_import_newest")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The import's page."""
        return reverse("billing:import", args=[self.pk])

    @property
    def is_done(self) -> bool:
        """Whether each line is billed or rejected."""
        return self.state == self.State.SUCCEEDED

    @property
    def may_start(self) -> bool:
        """Whether a person may start it (again); a second worker on the same import is harmless in any case."""
        is_stalled = timezone.now() - self.moved_at > STALLED_AFTER
        return not self.is_done and (not self.run_id or self.state == self.State.FAILED or is_stalled)


class Charge(models.Model):
    """One purchase to be billed. An imported one is identified by its place in its file, not by what it says."""

    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="charges", db_index=False, verbose_name=_("customer")
    )
    day = models.DateField(_("day"), db_index=True)
    quantity = models.PositiveIntegerField(_("quantity"))
    amount = MoneyField(_("amount"), help_text=_("The total of the line."))
    currency = models.CharField(_("currency"), max_length=3)
    description = models.CharField(_("description"), max_length=255, blank=True)
    entered_on = models.DateField(_("entered on"), default=today, editable=False)
    source = models.ForeignKey(
        ChargeImport,
        on_delete=models.PROTECT,
        related_name="charges",
        null=True,
        blank=True,
        db_index=False,
        verbose_name=_("import"),
        help_text=_("Empty: entered by hand."),
    )
    line = models.PositiveIntegerField(_("line"), null=True, blank=True)

    class Meta:
        verbose_name = _("charge")
        verbose_name_plural = _("charges")
        ordering = ["-id"]
        indexes = [models.Index(fields=["customer", "day"], name="billing_charge_customer")]
        constraints = [
            models.UniqueConstraint(fields=["source", "line"], name="billing_charge_once"),
            models.CheckConstraint(
                condition=models.Q(source__isnull=True, line__isnull=True)
                | models.Q(source__isnull=False, line__isnull=False),
                name="billing_charge_place",
            ),
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="billing_charge_amount"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.amount} {self.currency}"


class RejectedLine(models.Model):
    """A line that was not billed; an import keeps the first ones, and counts all."""

    source = models.ForeignKey(
        ChargeImport, on_delete=models.CASCADE, related_name="rejected_lines", db_index=False, verbose_name=_("import")
    )
    line = models.PositiveIntegerField(_("line"))
    reason = models.CharField(_("reason"), max_length=16, choices=Reason)
    text = models.CharField(_("text"), max_length=MAX_REJECTED_CHARS, help_text=_("The beginning of the line."))

    class Meta:
        verbose_name = _("rejected line")
        verbose_name_plural = _("rejected lines")
        ordering = ["source", "line"]
        constraints = [models.UniqueConstraint(fields=["source", "line"], name="billing_rejected_once")]

    def __str__(self) -> str:
        return f"{self.line}: {self.get_reason_display()}"
