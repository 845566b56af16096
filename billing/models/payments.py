"""What customers paid, entered by hand or read from a bank's file."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from billing.bank_reasons import BankReason
from billing.fields import MoneyField
from billing.models.customers import Customer
from billing.models.invoices import Invoice
from billing.models.states import WorkState
from billing.money import CURRENCIES


class BankImport(models.Model):
    """One file of a bank's account statement."""

    State = WorkState

    file = models.FileField(_("file"), upload_to="billing/bank/", max_length=255)
    name = models.CharField(_("name"), max_length=255)
    sha256 = models.CharField("SHA-256", max_length=64, unique=True, help_text=_("A file is its content."))
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.WAITING)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("uploaded by")
    )
    uploaded_at = models.DateTimeField(_("uploaded at"), auto_now_add=True)
    run_id = models.CharField(_("run"), max_length=36, blank=True)
    error = models.CharField(_("error"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("bank import")
        verbose_name_plural = _("bank imports")
        ordering = ["-uploaded_at", "-id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The import's page."""
        return reverse("billing:bank_import", args=[self.pk])


class BankLine(models.Model):
    """One line of a bank's file: money that came in, and what it is for."""

    class State(models.TextChoices):
        """What became of it."""

        MATCHED = "matched", _("matched")
        WAITING = "waiting", _("waits for a person")
        IGNORED = "ignored", _("ignored")
        REJECTED = "rejected", _("rejected")

    source = models.ForeignKey(BankImport, on_delete=models.CASCADE, related_name="lines", verbose_name=_("import"))
    line = models.PositiveIntegerField(_("line"))
    #: The bank's own id of the booking, or what identifies it; the same booking in two files is one payment.
    booking_key = models.CharField(_("booking"), max_length=64, unique=True, null=True, blank=True)
    state = models.CharField(_("state"), max_length=16, choices=State)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    day = models.DateField(_("day"), null=True, blank=True)
    amount = MoneyField(_("amount"), null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    payer = models.CharField(_("payer"), max_length=200, blank=True)
    reference = models.CharField(_("reference"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("bank line")
        verbose_name_plural = _("bank lines")
        ordering = ["source", "line"]
        constraints = [models.UniqueConstraint(fields=["source", "line"], name="billing_bank_line_once")]

    def __str__(self) -> str:
        return f"{self.source}: {self.line}"

    def get_absolute_url(self) -> str:
        """The line's page."""
        return reverse("billing:bank_line", args=[self.pk])

    @property
    def why(self) -> str:
        """The reason as a sentence; a person's own words are kept as they are."""
        return str(BankReason(self.reason).label) if self.reason in BankReason.values else self.reason


class Payment(models.Model):
    """Money that came in. One for an invoice counts there; what is over is the customer's credit."""

    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="payments", verbose_name=_("customer")
    )
    invoice = models.ForeignKey(
        Invoice, on_delete=models.PROTECT, related_name="payments", null=True, blank=True, verbose_name=_("invoice")
    )
    bank_line = models.OneToOneField(
        BankLine, on_delete=models.PROTECT, related_name="payment", null=True, blank=True, verbose_name=_("bank line")
    )
    day = models.DateField(_("day"))
    amount = MoneyField(_("amount"))
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCIES)
    reference = models.CharField(_("reference"), max_length=200, blank=True)
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, verbose_name=_("entered by")
    )
    entered_at = models.DateTimeField(_("entered at"), auto_now_add=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        ordering = ["-day", "-id"]
        constraints = [models.CheckConstraint(condition=models.Q(amount__gt=0), name="billing_payment_amount")]

    def __str__(self) -> str:
        return f"{self.day} {self.amount} {self.currency}"
