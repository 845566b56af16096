"""The form that filters e-mails."""

from __future__ import annotations

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from billing.forms_charges import CustomerNumberField
from billing.models import Mail


class MailFilter(forms.Form):
    """What the list of e-mails is asked for, in its address."""

    state = forms.ChoiceField(label=_("State"), choices=[("", _("all")), *Mail.State.choices], required=False)
    customer = CustomerNumberField(label=_("Customer number"), required=False)

    def found(self) -> QuerySet[Mail]:
        """Find what was asked for; a filter that is wrong finds nothing, and says why."""
        if not self.is_valid():
            return Mail.objects.none()
        asked = {name: value for name, value in self.cleaned_data.items() if value}
        return (
            Mail.objects.filter(**asked)
            .select_related("customer", "invoice")
            .defer("invoice__buyer", "invoice__seller")
        )
