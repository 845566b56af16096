"""Billing as a Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class BillingConfig(AppConfig):
    """The trade of this site."""

    name = "billing"
    verbose_name = _("Billing")

    def ready(self) -> None:
        """Make the groups after each `migrate`, when Django has made the rights."""
        from billing import anymail, roles

        post_migrate.connect(roles.make_groups, sender=self)
        anymail.connect()
