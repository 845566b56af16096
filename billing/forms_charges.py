"""The forms of charges: a filter, and one entered by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _

from billing.company import today
from billing.models import Charge, Customer
from billing.money import CURRENCIES
from billing.purchases import FIRST_DAY, LAST_DAY, MAX_AMOUNT, MAX_QUANTITY
from billing.reasons import Reason
from billing.services import charges

DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def between(least: Any, most: Any, reason: Reason) -> list[Any]:
    """Make the validators of a bounded value, both of which say the bounds."""
    return [MinValueValidator(least, message=reason.label), MaxValueValidator(most, message=reason.label)]


class CustomerNumberField(forms.CharField):
    """Takes a customer's number, and gives the customer."""

    def clean(self, value: Any) -> Any:
        """Find the customer, None if the field is empty and may be."""
        number = super().clean(value)
        if not number:
            return None
        if customer := Customer.objects.filter(number=number).first():
            return customer
        raise ValidationError(_("There is no customer with the number %(number)s."), params={"number": number[:40]})


class DayField(forms.DateField):
    """A day that invoices can be of."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            widget=DAY,
            validators=between(FIRST_DAY, LAST_DAY, Reason.DAY_RANGE),
            error_messages={"invalid": Reason.DAY.label},
            **kwargs,
        )


class ChargeFilter(forms.Form):
    """What the list of charges is asked for, in its address."""

    customer = CustomerNumberField(label=_("Customer number"), required=False)
    first = DayField(label=_("From"), required=False)
    last = DayField(label=_("To"), required=False)
    unbilled = forms.BooleanField(label=_("Only what is not billed yet"), required=False)

    def clean(self) -> dict[str, Any]:
        """Refuse a period that ends before it begins."""
        values = super().clean() or self.cleaned_data
        if values.get("first") and values.get("last") and values["first"] > values["last"]:
            self.add_error("last", _("The last day lies before the first."))
        return values

    def found(self) -> Any:
        """Find what was asked for; a filter that is wrong finds nothing, and says why."""
        if not self.is_valid():
            return Charge.objects.none()
        asked = self.cleaned_data
        return charges.found(asked["customer"], asked["first"], asked["last"], asked["unbilled"])


class ChargeForm(forms.ModelForm):
    """A charge entered by hand."""

    customer = CustomerNumberField(label=_("Customer number"))
    day = DayField(label=_("Day"), initial=today)
    quantity = forms.IntegerField(
        label=_("Quantity"),
        initial=1,
        validators=between(1, MAX_QUANTITY, Reason.QUANTITY_RANGE),
        error_messages={"invalid": Reason.QUANTITY.label},
    )
    amount = forms.DecimalField(
        label=_("Amount"),
        help_text=_("The net total of the line."),
        validators=between(Decimal("0.00"), MAX_AMOUNT, Reason.AMOUNT_RANGE),
        decimal_places=2,
        error_messages={
            "invalid": Reason.AMOUNT.label,
            "max_decimal_places": Reason.AMOUNT.label,
        },
    )
    currency = forms.ChoiceField(label=_("Currency"), required=False)

    class Meta:
        model = Charge
        fields = ["customer", "day", "quantity", "amount", "currency", "description"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        currency = self.fields["currency"]
        assert isinstance(currency, forms.ChoiceField)
        currency.choices = [("", _("the customer's")), *CURRENCIES]
        self.fields["description"].required = True

    def clean_description(self) -> str:
        """Keep a description on one line."""
        return " ".join(self.cleaned_data["description"].split())

    def clean(self) -> dict[str, Any]:
        """Bill in the customer's currency; a charge in another one would never be billed."""
        values = super().clean() or self.cleaned_data
        if customer := values.get("customer"):
            values["currency"] = values.get("currency") or customer.currency
            if values["currency"] != customer.currency:
                text = _("%(customer)s is billed in %(expected)s; a charge in %(came)s would never be billed.")
                names = {"customer": customer, "expected": customer.currency, "came": values["currency"]}
                self.add_error("currency", ValidationError(text, params=names))
        return values
