"""Invoices, their lines, and the runs that make many of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from billing.exceptions import IssuedInvoiceError
from billing.fields import MoneyField
from billing.models.charges import Charge
from billing.models.customers import Customer
from billing.money import CURRENCIES, Money

NOTHING = Decimal("0.00")


class TaxRate(models.Model):
    """What a country takes from a day on."""

    country = models.CharField(_("country"), max_length=2)
    since = models.DateField(_("since"))
    percent = models.DecimalField(_("percent"), max_digits=5, decimal_places=2)

    class Meta:
        verbose_name = _("tax rate")
        verbose_name_plural = _("tax rates")
        ordering = ["country", "-since"]
        constraints = [models.UniqueConstraint(fields=["country", "since"], name="billing_tax_rate_once")]

    def __str__(self) -> str:
        return f"{self.country} {self.percent} % ({self.since})"


class InvoiceRun(models.Model):
    """One billing of many customers: planned, confirmed by a person, then done in parts."""

    class State(models.TextChoices):
        """Where a run is."""

        PLANNED = "planned", _("planned")
        RUNNING = "running", _("running")
        SUCCEEDED = "succeeded", _("succeeded")
        INCOMPLETE = "incomplete", _("incomplete")

    period_start = models.DateField(_("from"), help_text=_("The first day whose charges are billed."))
    period_end = models.DateField(_("to"), help_text=_("The last day whose charges are billed."))
    cut_off = models.DateField(
        _("cut-off day"),
        help_text=_("Charges that were entered later are left out; plan their period again to bill them."),
    )
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.PLANNED)
    #: What `services.planning.plan` returned when it was last shown; from the confirmation on it stays.
    plan = models.JSONField(_("plan"), default=dict)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("created by")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True, verbose_name=_("confirmed by")
    )
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True)
    started_at = models.DateTimeField(_("started at"), null=True, help_text=_("When it began, or began again."))
    #: Newer charges than the plan knew are not billed by it.
    last_charge_id = models.PositiveBigIntegerField(_("last charge"), default=0)
    issued_on = models.DateField(_("issued on"), null=True, help_text=_("The day on the invoices since then."))
    run_id = models.CharField(_("run"), max_length=36, blank=True)
    mail_run_id = models.CharField(_("run that sends all"), max_length=36, blank=True)

    class Meta:
        verbose_name = _("invoice run")
        verbose_name_plural = _("invoice runs")
        ordering = ["-created_at", "-id"]
        permissions = [("confirm_invoicerun", _("Can confirm invoice runs"))]

    def __str__(self) -> str:
        return f"{self.period_start} – {self.period_end}"

    def get_absolute_url(self) -> str:
        """The invoice run's page."""
        return reverse("billing:invoice_run", args=[self.pk])


class InvoiceRunPart(models.Model):
    """Some customers of an invoice run, billed by one task: those with an id from first to last."""

    class State(models.TextChoices):
        """Where a part is."""

        WAITING = "waiting", _("waiting")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    invoice_run = models.ForeignKey(
        InvoiceRun, on_delete=models.CASCADE, related_name="parts", verbose_name=_("invoice run")
    )
    number = models.PositiveIntegerField(_("number"))
    first_customer_id = models.PositiveBigIntegerField(_("first customer"))
    last_customer_id = models.PositiveBigIntegerField(_("last customer"))
    customer_count = models.PositiveIntegerField(_("customers"))
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.WAITING)
    error = models.CharField(_("error"), max_length=500, blank=True)
    run_id = models.CharField(_("run"), max_length=36, blank=True)

    class Meta:
        verbose_name = _("part of an invoice run")
        verbose_name_plural = _("parts of invoice runs")
        ordering = ["invoice_run", "number"]
        constraints = [models.UniqueConstraint(fields=["invoice_run", "number"], name="billing_run_part_once")]

    def __str__(self) -> str:
        return f"{self.invoice_run}: {self.number}"


class InvoiceRunFailure(models.Model):
    """A customer whom an invoice run could not bill, and why; it goes when a later try can."""

    invoice_run = models.ForeignKey(
        InvoiceRun, on_delete=models.CASCADE, related_name="failures", verbose_name=_("invoice run")
    )
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="+", verbose_name=_("customer"))
    reason = models.CharField(_("reason"), max_length=500)

    class Meta:
        verbose_name = _("failure of an invoice run")
        verbose_name_plural = _("failures of invoice runs")
        ordering = ["invoice_run", "customer"]
        constraints = [models.UniqueConstraint(fields=["invoice_run", "customer"], name="billing_run_failure_once")]

    def __str__(self) -> str:
        return f"{self.customer}: {self.reason}"


class NumberSequence(models.Model):
    """The last number given in a year. Its row is locked while one is given, so that there are no holes."""

    kind = models.CharField(_("kind"), max_length=16)
    year = models.PositiveSmallIntegerField(_("year"))
    last = models.PositiveIntegerField(_("last"), default=0)

    class Meta:
        verbose_name = _("number sequence")
        verbose_name_plural = _("number sequences")
        constraints = [models.UniqueConstraint(fields=["kind", "year"], name="billing_number_sequence_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.year}: {self.last}"


class Invoice(models.Model):
    """A demand for money, or a credit note that takes one back. Once issued it never changes."""

    class Kind(models.TextChoices):
        """What it is."""

        INVOICE = "invoice", _("invoice")
        CREDIT_NOTE = "credit_note", _("credit note")

    class State(models.TextChoices):
        """Where an invoice is; `overdue` is open or partly paid after the due day."""

        DRAFT = "draft", _("draft")
        ISSUED = "issued", _("issued")
        PARTLY_PAID = "partly_paid", _("partly paid")
        PAID = "paid", _("paid")
        OVERDUE = "overdue", _("overdue")
        VOID = "void", _("void")

    #: What may change after issue: what becomes of it, not what it says.
    FREE = frozenset({"state", "paid", "disputed", "pdf", "pdf_sha256", "pdf_run_id", "pdf_error"})
    OPEN = (State.ISSUED, State.PARTLY_PAID, State.OVERDUE)

    kind = models.CharField(_("kind"), max_length=16, choices=Kind, default=Kind.INVOICE)
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.DRAFT)
    number = models.CharField(_("number"), max_length=32, unique=True, null=True, blank=True)
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="invoices", verbose_name=_("customer")
    )
    invoice_run = models.ForeignKey(
        InvoiceRun, on_delete=models.PROTECT, related_name="invoices", null=True, blank=True, verbose_name=_("run")
    )
    corrects = models.OneToOneField(
        "self", on_delete=models.PROTECT, related_name="credit_note", null=True, blank=True, verbose_name=_("corrects")
    )
    period_start = models.DateField(_("from"), null=True, blank=True)
    period_end = models.DateField(_("to"), null=True, blank=True)
    issued_on = models.DateField(_("issued on"), null=True, blank=True)
    due_on = models.DateField(_("due on"), null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCIES)
    #: Buyer and seller as they were at issue: name, address (text of lines), country, vat_id, number, language, …
    buyer = models.JSONField(_("buyer"), default=dict)
    seller = models.JSONField(_("seller"), default=dict)
    reverse_charge = models.BooleanField(_("reverse charge"), default=False)
    net = MoneyField(_("net"), default=NOTHING)
    tax = MoneyField(_("tax"), default=NOTHING)
    gross = MoneyField(_("total"), default=NOTHING)
    paid = MoneyField(_("paid"), default=NOTHING)
    disputed = models.BooleanField(_("disputed"), default=False, help_text=_("No reminders are sent."))
    pdf = models.FileField(_("PDF"), upload_to="billing/invoices/", blank=True)
    pdf_sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    pdf_run_id = models.CharField(_("run that makes the PDF"), max_length=36, blank=True)
    pdf_error = models.CharField(_("why there is no PDF"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("invoice")
        verbose_name_plural = _("invoices")
        ordering = ["-issued_on", "-id"]
        permissions = [("void_invoice", _("Can void invoices and give credit"))]
        indexes = [
            models.Index(fields=["-issued_on", "-id"], name="billing_invoice_newest"),
            models.Index(fields=["state", "due_on"], name="billing_invoice_due"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="draft", number__isnull=True)
                | ~models.Q(state="draft") & models.Q(number__isnull=False),
                name="billing_invoice_number",
            ),
        ]

    def __str__(self) -> str:
        return self.number or str(_("draft %(id)s") % {"id": self.pk})

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save it; of an issued one only what becomes of it. Raises IssuedInvoiceError."""
        self._refuse_change(kwargs.get("update_fields"))
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        """The invoice's page."""
        return reverse("billing:invoice", args=[self.pk])

    def _refuse_change(self, names: Any) -> None:
        before: Any = (
            Invoice.objects.filter(pk=self.pk).exclude(state=self.State.DRAFT).values().first() if self.pk else None
        )
        if before is None:
            return
        fields = [field for field in self._meta.concrete_fields if names is None or field.name in names]
        for field in fields:
            if field.name not in self.FREE and before[field.attname] != getattr(self, field.attname):
                raise IssuedInvoiceError(
                    _("Invoice %(number)s is issued; its %(field)s cannot change.")
                    % {"number": before["number"], "field": field.verbose_name}
                )

    @property
    def has_pdf(self) -> bool:
        """Whether its PDF is stored, and not lost."""
        return bool(self.pdf) and self.pdf.storage.exists(str(self.pdf.name))

    @property
    def total(self) -> Money:
        """What is to be paid, with its currency."""
        return Money(self.gross, self.currency)

    @property
    def open(self) -> Money:
        """What is still to be paid; nothing for a void one and for a credit note."""
        if self.state not in self.OPEN or self.kind != self.Kind.INVOICE:
            return Money.zero(self.currency)
        return Money(self.gross - self.paid, self.currency)


class InvoiceLine(models.Model):
    """One line: a charge with its tax, rounded to the cent."""

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines", verbose_name=_("invoice"))
    position = models.PositiveIntegerField(_("position"))
    charge = models.ForeignKey(
        Charge, on_delete=models.PROTECT, related_name="lines", null=True, blank=True, verbose_name=_("charge")
    )
    #: Set when the invoice is void and the charge may be billed again.
    released = models.BooleanField(_("released"), default=False)
    day = models.DateField(_("day"))
    description = models.CharField(_("description"), max_length=255, blank=True)
    quantity = models.IntegerField(_("quantity"))
    tax_percent = models.DecimalField(_("tax rate"), max_digits=5, decimal_places=2)
    net = MoneyField(_("net"))
    tax = MoneyField(_("tax"))

    class Meta:
        verbose_name = _("invoice line")
        verbose_name_plural = _("invoice lines")
        ordering = ["invoice", "position"]
        indexes = [models.Index(fields=["invoice"], condition=models.Q(released=True), name="billing_line_released")]
        constraints = [
            models.UniqueConstraint(fields=["invoice", "position"], name="billing_invoice_line_once"),
            models.UniqueConstraint(
                fields=["charge"], condition=models.Q(released=False), name="billing_charge_billed_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.invoice}: {self.position}"
