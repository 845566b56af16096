"""The three groups of a billing office, made once; who administers the site changes them as it needs."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import QuerySet

CLERK, MANAGER, AUDITOR = "clerk", "manager", "auditor"

#: What a clerk works with. Imports of others are for the manager and the auditor: a clerk sees own ones.
CLERK_RIGHTS = (
    *(
        f"{verb}_{model}"
        for model in ("customer", "charge", "mail", "payment", "bankimport", "bankline", "ledgerexport")
        for verb in ("view", "add", "change")
    ),
    "add_chargeimport",
    "change_chargeimport",
    "view_invoicerun",
    "add_invoicerun",
    "view_invoice",
    "change_invoice",
)
MANAGER_RIGHTS = (*CLERK_RIGHTS, "view_chargeimport", "confirm_invoicerun", "void_invoice")


def make_groups(sender: Any = None, using: str = "default", **kwargs: Any) -> None:
    """Make the groups that are missing, each with its rights; called after each `migrate`.

    A data migration would come too early, as Django makes the rights after all migrations.
    """
    for name, rights in ((CLERK, CLERK_RIGHTS), (MANAGER, MANAGER_RIGHTS), (AUDITOR, None)):
        group, is_new = Group.objects.using(using).get_or_create(name=name)
        if is_new:
            group.permissions.set(_rights(using, rights))


def _rights(using: str, codenames: tuple[str, ...] | None) -> QuerySet[Permission]:
    """Find rights by name; None means to view all there is."""
    ours = Permission.objects.using(using).filter(content_type__app_label="billing")
    return ours.filter(codename__startswith="view_") if codenames is None else ours.filter(codename__in=codenames)
