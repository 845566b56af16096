"""The form that takes a file of purchases."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from billing import uploads
from billing.models import ChargeImport


class UploadForm(forms.Form):
    """One file; what is wrong with it is said beside the field, and `cleaned_data["file"]` is it inspected."""

    file = forms.FileField(
        label=_("File of purchases"),
        help_text=_(
            "CSV with the header customer_id,date,quantity,amount,description, or a CDNOW file; UTF-8, 50 MiB at most."
        ),
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,text/csv,text/plain"}),
    )

    def clean_file(self) -> uploads.Inspected:
        """Look at the file as a whole."""
        return uploads.inspect(self.cleaned_data["file"])

    def receive(self, user: Any) -> tuple[ChargeImport, bool] | None:
        """Store the file, as `uploads.receive` does; None means that the form now says why it could not be."""
        try:
            return uploads.receive(self.cleaned_data["file"], user)
        except ValidationError as error:
            self.add_error("file", error)
            return None
