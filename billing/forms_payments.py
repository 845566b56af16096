"""The forms of payments, of a bank's files and of ledger exports."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from billing import uploads
from billing.bank_formats import COLUMNS, MAX_AMOUNT
from billing.bank_reasons import BankReason
from billing.company import today
from billing.forms_charges import CustomerNumberField, DayField
from billing.models import BankImport, BankLine, Invoice, LedgerExport, Payment
from billing.money import CENT
from billing.services import balances, bank


class PaymentFilter(forms.Form):
    """What the list of payments is asked for, in its address."""

    customer = CustomerNumberField(label=_("Customer number"), required=False)
    unassigned = forms.BooleanField(label=_("Only credit: what no invoice uses"), required=False)

    def found(self) -> QuerySet[Payment]:
        """Find what was asked for; a filter that is wrong finds nothing, and says why."""
        if not self.is_valid():
            return Payment.objects.none()
        found = balances.credit() if self.cleaned_data["unassigned"] else Payment.objects.all()
        if customer := self.cleaned_data["customer"]:
            found = found.filter(customer=customer)
        return found.select_related("customer", "invoice", "entered_by", "bank_line")


class PaymentForm(forms.Form):
    """A payment for an invoice; `seen_paid` is what the page said was paid already."""

    amount = forms.DecimalField(
        label=_("Amount"),
        decimal_places=2,
        validators=[
            MinValueValidator(CENT, message=BankReason.AMOUNT_RANGE.label),
            MaxValueValidator(MAX_AMOUNT, message=BankReason.AMOUNT_RANGE.label),
        ],
        error_messages={"invalid": BankReason.AMOUNT.label, "max_decimal_places": BankReason.AMOUNT.label},
    )
    day = DayField(label=_("Day"), initial=today)
    reference = forms.CharField(label=_("Reference"), max_length=200, required=False)
    seen_paid = forms.DecimalField(decimal_places=2, widget=forms.HiddenInput)

    def clean_day(self) -> Any:
        """Refuse a day that has not come."""
        day = self.cleaned_data["day"]
        if day > today():
            raise ValidationError(_("Money cannot have come in on a day that has not come."))
        return day


class BankUploadForm(forms.Form):
    """A bank's file; what is wrong with it is said beside the field."""

    file = forms.FileField(
        label=_("Account statement"),
        help_text=format_lazy(
            _("CSV with the header {columns}, separated by , or ; in UTF-8 or Windows-1252, {limit} MiB at most."),
            columns=",".join(COLUMNS),
            limit=bank.MAX_FILE_MIB,
        ),
        widget=forms.FileInput(
            attrs={
                "accept": ".csv,.txt,text/csv,text/plain",
                "data-max-bytes": bank.MAX_FILE_MIB * 2**20,
                "data-too-large": format_lazy(_("{limit} MiB are allowed."), limit=bank.MAX_FILE_MIB),
            }
        ),
    )
    measured: uploads.Measured

    def clean_file(self) -> Any:
        """Look at the file as a whole."""
        self.measured = bank.check(self.cleaned_data["file"])
        return self.cleaned_data["file"]

    def receive(self, user: Any) -> tuple[BankImport, bool] | None:
        """Store the file, as `bank.receive` does; None means that the form now says why it could not be."""
        try:
            return bank.receive(self.cleaned_data["file"], self.measured, user)
        except ValidationError as error:
            self.add_error("file", error)
            return None


class InvoiceNumberField(forms.CharField):
    """Takes an invoice's number, and gives the invoice."""

    def clean(self, value: Any) -> Any:
        """Find the invoice."""
        number = super().clean(value)
        if invoice := Invoice.objects.filter(number=number).first():
            return invoice
        raise ValidationError(_("There is no invoice with the number %(number)s."), params={"number": number[:40]})


class ToInvoiceForm(forms.Form):
    """The invoice that a bank line pays."""

    invoice = InvoiceNumberField(label=_("Invoice number"))


class ToCustomerForm(forms.Form):
    """The customer whose credit a bank line is."""

    customer = CustomerNumberField(label=_("Customer number"))


class IgnoreForm(forms.Form):
    """Why a bank line is no payment."""

    reason = forms.CharField(label=_("Reason"), max_length=BankLine._meta.get_field("reason").max_length)


class LedgerExportForm(forms.ModelForm):
    """The period and the kind of file of an export."""

    period_start = DayField(label=_("From"))
    period_end = DayField(label=_("To"))

    class Meta:
        model = LedgerExport
        fields = ["period_start", "period_end", "format"]

    def clean(self) -> dict[str, Any]:
        """Refuse a period that ends before it begins."""
        values = super().clean() or self.cleaned_data
        first, last = values.get("period_start"), values.get("period_end")
        if first and last and first > last:
            self.add_error("period_end", _("The last day lies before the first."))
        return values
