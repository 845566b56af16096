"""The form that takes a file of purchases."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from billing import uploads
from billing.formats import CSV
from billing.models import ChargeImport


class UploadForm(forms.Form):
    """One file; what is wrong with it is said beside the field, and `cleaned_data["file"]` is it inspected."""

    file = forms.FileField(
        label=_("File of purchases"),
        help_text=format_lazy(
            _("CSV with the header {columns}, or a CDNOW file; UTF-8, {limit} MiB at most."),
            columns=",".join(CSV.columns),
            limit=uploads.MAX_FILE_MIB,
        ),
        widget=forms.FileInput(
            attrs={
                "accept": ".csv,.txt,text/csv,text/plain",
                "data-max-bytes": uploads.MAX_FILE_MIB * 2**20,
                "data-too-large": format_lazy(_("{limit} MiB are allowed."), limit=uploads.MAX_FILE_MIB),
            }
        ),
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
