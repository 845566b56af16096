"""The forms that plan an invoice run and that filter invoices."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import BigIntegerField, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from billing.company import today
from billing.forms_charges import DayField
from billing.models import Invoice, InvoiceRun
from billing.services import invoice_runs

MAX_SEARCH_CHARS = 200


class PlanForm(forms.Form):
    """The period of an invoice run, and the day after which entered charges wait."""

    period_start = DayField(label=_("From"))
    period_end = DayField(label=_("To"))
    cut_off = DayField(
        label=_("Cut-off day"),
        initial=today,
        help_text=_("Charges that were entered later are left out; plan their period again to bill them."),
    )

    def clean(self) -> dict[str, Any]:
        """Hold the ends of the period against each other."""
        given: dict[str, Any] = super().clean() or {}
        start, end = given.get("period_start"), given.get("period_end")
        if start and end and end < start:
            self.add_error(
                "period_end",
                ValidationError(_("The period begins on %(start)s and cannot end before it."), params={"start": start}),
            )
        return given

    def plan(self, user: Any) -> InvoiceRun:
        """Store the plan."""
        given = self.cleaned_data
        return invoice_runs.plan(given["period_start"], given["period_end"], given["cut_off"], user)


class InvoiceFilter(forms.Form):
    """What the list of invoices is asked for, in its address."""

    q = forms.CharField(label=_("Number"), max_length=MAX_SEARCH_CHARS, required=False)
    customer = forms.CharField(label=_("Customer"), max_length=MAX_SEARCH_CHARS, required=False)
    state = forms.ChoiceField(label=_("State"), choices=[("", _("all")), *Invoice.State.choices], required=False)
    run = forms.IntegerField(
        label=_("Run"), min_value=1, max_value=BigIntegerField.MAX_BIGINT, required=False, widget=forms.HiddenInput
    )

    def found(self) -> QuerySet[Invoice]:
        """Find what was asked for; a filter that is wrong finds nothing, and says why."""
        if not self.is_valid():
            return Invoice.objects.none()
        given = self.cleaned_data
        invoices = Invoice.objects.select_related("customer").defer("buyer", "seller")
        if number := given.get("q"):
            invoices = invoices.filter(number__icontains=number.strip())
        if name := given.get("customer", "").strip():
            invoices = invoices.filter(Q(customer__number=name) | Q(customer__name__icontains=name))
        if state := given.get("state"):
            invoices = invoices.filter(state=state)
        if run := given.get("run"):
            invoices = invoices.filter(invoice_run_id=run)
        return invoices
