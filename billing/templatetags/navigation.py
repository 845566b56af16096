"""The second line of navigation: the parts of billing that a user may see."""

from __future__ import annotations

from typing import Any, NamedTuple

from django import template
from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

register = template.Library()


class Part(NamedTuple):
    """One part of billing, with the rights of which one lets a user in."""

    url_name: str
    label: Any
    rights: tuple[str, ...]
    only_with_debug: bool = False


PARTS = (
    Part("customers", _("Customers"), ("billing.view_customer",)),
    Part("charges", _("Charges"), ("billing.view_charge",)),
    Part("imports", _("Imports"), ("billing.add_chargeimport", "billing.view_chargeimport")),
    Part("invoice_runs", _("Invoice runs"), ("billing.view_invoicerun",)),
    Part("invoices", _("Invoices"), ("billing.view_invoice",)),
    Part("mails", _("E-mails"), ("billing.view_mail",)),
    Part("inbox", _("Inbox"), ("billing.view_mail",), only_with_debug=True),
    Part("payments", _("Payments"), ("billing.view_payment",)),
    Part("bank_imports", _("Bank imports"), ("billing.view_bankimport",)),
    Part("ledger_exports", _("Ledger exports"), ("billing.view_ledgerexport",)),
)


@register.inclusion_tag("billing/_parts.html", takes_context=True)
def billing_parts(context: dict[str, Any]) -> dict[str, Any]:
    """Draw the parts of billing that the user may see, the present one marked."""
    request = context["request"]
    links = []
    for part in PARTS:
        if (settings.DEBUG or not part.only_with_debug) and any(map(request.user.has_perm, part.rights)):
            address = reverse(f"billing:{part.url_name}")
            links.append({"address": address, "label": part.label, "is_here": request.path.startswith(address)})
    return {"links": links}


@register.simple_tag(takes_context=True)
def billing_start(context: dict[str, Any]) -> str:
    """Return the address of the first part of billing that the user may see, "" when there is none."""
    links = billing_parts(context)["links"]
    return links[0]["address"] if links else ""
