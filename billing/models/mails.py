"""E-mails: what was meant to go to whom, and what became of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from billing.models.customers import Customer
from billing.models.invoices import Invoice


class Mail(models.Model):
    """One e-mail, sent at most once: `key` names what it is, and a person who asks again gets another `number`.

    waiting → sending → sent, or back to waiting for a retry, or failed. One that was being handed over when its
    worker died is `unclear`: it may be out, and a person decides.
    """

    class Kind(models.TextChoices):
        """What it carries."""

        INVOICE = "invoice", _("invoice")
        REMINDER = "reminder", _("reminder")
        STATEMENT = "statement", _("statement")

    class State(models.TextChoices):
        """Where it is."""

        WAITING = "waiting", _("waiting")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")
        UNCLEAR = "unclear", _("unclear")

    class Delivery(models.TextChoices):
        """What the mail service said later (django-anymail)."""

        NONE = "", _("unknown")
        DELIVERED = "delivered", _("delivered")
        BOUNCED = "bounced", _("bounced")
        COMPLAINED = "complained", _("complained")

    #: What it is about: "invoice:12", "reminder:12:2", "statement:7:2026-10".
    subject_key = models.CharField(_("about"), max_length=64)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    address = models.EmailField(_("to"))
    number = models.PositiveSmallIntegerField(_("time"), default=1, help_text=_("2 when a person asked again."))
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="mails", verbose_name=_("customer"))
    invoice = models.ForeignKey(
        Invoice, on_delete=models.PROTECT, related_name="mails", null=True, blank=True, verbose_name=_("invoice")
    )
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.WAITING)
    delivery = models.CharField(_("delivery"), max_length=16, choices=Delivery, default=Delivery.NONE, blank=True)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    error = models.CharField(_("error"), max_length=500, blank=True)
    message_id = models.CharField(_("Message-ID"), max_length=200, blank=True)
    run_id = models.CharField(_("run"), max_length=36, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, verbose_name=_("asked by")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    #: When the present state began; a mail that waits or is being sent for too long is taken up again.
    changed_at = models.DateTimeField(_("changed at"), auto_now=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)

    class Meta:
        verbose_name = _("e-mail")
        verbose_name_plural = _("e-mails")
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["state", "changed_at"], name="billing_mail_stuck")]
        constraints = [
            models.UniqueConstraint(fields=["subject_key", "kind", "address", "number"], name="billing_mail_once")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} → {self.address}"

    def get_absolute_url(self) -> str:
        """The e-mail's page."""
        return reverse("billing:mail", args=[self.pk])

    @property
    def needs_run(self) -> bool:
        """Whether it waits and no worker was told."""
        return self.state == self.State.WAITING and not self.run_id

    @property
    def is_moving(self) -> bool:
        """Whether a run is at it, or will be."""
        return self.state in (self.State.WAITING, self.State.SENDING) and bool(self.run_id)

    @property
    def may_be_repeated(self) -> bool:
        """Whether it is at its end, so that a person may ask for another copy."""
        return self.state in (self.State.SENT, self.State.FAILED)


class Reminder(models.Model):
    """One step of reminding of an invoice; each step happens once."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="reminders", verbose_name=_("invoice"))
    step = models.PositiveSmallIntegerField(_("step"))
    made_on = models.DateField(_("made on"))

    class Meta:
        verbose_name = _("reminder")
        verbose_name_plural = _("reminders")
        ordering = ["invoice", "step"]
        constraints = [
            models.UniqueConstraint(fields=["invoice", "step"], name="billing_reminder_once"),
            models.CheckConstraint(condition=models.Q(step__range=(1, 3)), name="billing_reminder_step"),
        ]

    def __str__(self) -> str:
        return f"{self.invoice}: {self.step}"


class Statement(models.Model):
    """What a customer owes at the end of a month; made once."""

    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="statements", verbose_name=_("customer")
    )
    month = models.DateField(_("month"), help_text=_("Its first day."))
    made_on = models.DateField(_("made on"))

    class Meta:
        verbose_name = _("statement")
        verbose_name_plural = _("statements")
        ordering = ["-month", "customer"]
        constraints = [models.UniqueConstraint(fields=["customer", "month"], name="billing_statement_once")]

    def __str__(self) -> str:
        return f"{self.customer}: {self.month:%Y-%m}"
