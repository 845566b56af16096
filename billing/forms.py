"""The form that takes a file of purchases."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from billing import uploads


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
