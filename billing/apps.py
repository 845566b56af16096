"""Billing as a Django app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BillingConfig(AppConfig):
    """The trade of this site."""

    name = "billing"
    verbose_name = _("Billing")
