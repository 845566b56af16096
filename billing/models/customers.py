"""Who is billed."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing.addresses import validate_ascii
from billing.money import CURRENCIES

PAYMENT_DAYS = 30
MAX_PAYMENT_DAYS = 365


class Customer(models.Model):
    """Somebody who is billed, known outside by a number. An import makes one with a number alone."""

    number = models.CharField(_("number"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=200, blank=True)
    email = models.EmailField(_("e-mail"), blank=True, validators=[validate_ascii])
    address = models.TextField(_("address"), max_length=500, blank=True, help_text=_("Street and town, in lines."))
    country = models.CharField(
        _("country"), max_length=2, blank=True, help_text=_("Two letters (ISO 3166). Empty: the company's own.")
    )
    vat_id = models.CharField(_("VAT id"), max_length=20, blank=True)
    payment_days = models.PositiveSmallIntegerField(
        _("payment terms"),
        default=PAYMENT_DAYS,
        validators=[MaxValueValidator(MAX_PAYMENT_DAYS)],
        help_text=_("Days from issue to due."),
    )
    language = models.CharField(_("language"), max_length=7, choices=settings.LANGUAGES, default="en")
    currency = models.CharField(_("currency"), max_length=3, choices=CURRENCIES, default="USD")
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        ordering = ["number"]
        indexes = [models.Index(fields=["name"], name="billing_customer_name")]

    def __str__(self) -> str:
        return self.name or self.number

    def get_absolute_url(self) -> str:
        """The customer's page."""
        return reverse("billing:customer", args=[self.pk])
