"""The forms of customers: what is wrong is said beside the field."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from billing import vat
from billing.addresses import validate_ascii
from billing.company import company
from billing.countries import COUNTRIES
from billing.models import Customer
from billing.purchases import CUSTOMER
from billing.reasons import Reason
from billing.services import customers

MAX_SEARCH_CHARS = 100


class CustomerSearch(forms.Form):
    """What the list of customers is asked for, in its address."""

    q = forms.CharField(label=_("Search"), required=False, max_length=MAX_SEARCH_CHARS, widget=forms.SearchInput)
    order = forms.ChoiceField(
        label=_("Order"),
        required=False,
        choices=[("number", _("number")), ("name", _("name")), ("newest", _("newest first"))],
    )

    def found(self) -> Any:
        """Find what was asked for; a search that is wrong finds nothing, and says why."""
        if not self.is_valid():
            return Customer.objects.none()
        return customers.found(self.cleaned_data["q"], self.cleaned_data["order"] or "number")


class CustomerForm(forms.ModelForm):
    """A customer, new or known."""

    country = forms.ChoiceField(label=_("Country"), required=False)

    class Meta:
        model = Customer
        fields = [
            "number",
            "name",
            "email",
            "address",
            "country",
            "vat_id",
            "language",
            "currency",
            "payment_days",
        ]
        widgets = {"address": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = COUNTRIES.get(company().country, company().country)
        named = sorted(((code, str(name)) for code, name in COUNTRIES.items()), key=lambda choice: choice[1])
        country = self.fields["country"]
        assert isinstance(country, forms.ChoiceField)
        country.choices = [("", _("%(country)s (the company's own)") % {"country": own}), *named]
        self.fields["name"].required = True
        # Says what is wrong where "Enter a valid email address." alone would not.
        self.fields["email"].validators.append(validate_ascii)

    def clean_number(self) -> str:
        """Take what an import takes: a file with this number must find this customer."""
        number: str = self.cleaned_data["number"]
        if not CUSTOMER.fullmatch(number):
            raise ValidationError(Reason.CUSTOMER.label)
        return number

    def clean_name(self) -> str:
        """Keep a name on one line."""
        return " ".join(self.cleaned_data["name"].split())

    def clean(self) -> dict[str, Any]:
        """Check the VAT id, for which the country must be known."""
        values = super().clean() or self.cleaned_data
        if "country" in values and "vat_id" in values:
            try:
                values["vat_id"] = vat.normalise(values["vat_id"], values["country"] or company().country)
            except ValidationError as error:
                self.add_error("vat_id", error)
        return values
