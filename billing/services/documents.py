"""PDFs of invoices, made once and kept in Django's storage."""

from __future__ import annotations

import hashlib
import logging

from django.core.files.base import ContentFile
from django.db import transaction
from django.utils.translation import gettext as _
from typst import TypstError

from billing import pdf
from billing.exceptions import DocumentError
from billing.models import Invoice

logger = logging.getLogger(__name__)

MAX_ERROR_CHARS = 500


def store_pdf(invoice_id: int) -> Invoice:
    """Make sure that an issued invoice has its PDF, and return it; safe to call twice, or twice at once.

    Raises DocumentError, and the invoice says why. The row points at a file only once that is whole. A file that was
    lost is made again if that gives the same bytes.
    """
    invoice = Invoice.objects.select_related("corrects").get(pk=invoice_id)
    if invoice.has_pdf:
        return invoice
    if invoice.number is None:
        raise DocumentError(_("A draft has no PDF; issue the invoice first."))
    try:
        return _keep(invoice.pk, pdf.render(invoice))
    except (OSError, TypstError, DocumentError) as error:
        text = _("The PDF could not be stored: %(reason)s.") % {"reason": getattr(error, "strerror", None) or error}
        logger.exception("A PDF could not be stored.", extra={"action": "pdf_failed", "invoice": invoice.pk})
        Invoice.objects.filter(pk=invoice.pk, pdf=invoice.pdf.name or "").update(pdf_error=text[:MAX_ERROR_CHARS])
        raise DocumentError(text) from error


@transaction.atomic
def _keep(invoice_id: int, content: bytes) -> Invoice:
    invoice = Invoice.objects.select_for_update().get(pk=invoice_id)
    if invoice.has_pdf:
        return invoice
    sha256 = hashlib.sha256(content).hexdigest()
    if invoice.pdf_sha256 not in ("", sha256):
        raise DocumentError(
            _("the file %(name)s is lost, and one made now would be another; bring it back from a backup")
            % {"name": invoice.pdf.name}
        )
    storage = invoice.pdf.storage
    name = invoice.pdf.field.generate_filename(invoice, f"{invoice.number}.pdf")
    # No row points at it: a worker that was killed left it, and perhaps half of it.
    storage.delete(name)
    try:
        invoice.pdf.name = storage.save(name, ContentFile(content))
    except BaseException:
        storage.delete(name)
        raise
    invoice.pdf_sha256, invoice.pdf_error = sha256, ""
    invoice.save(update_fields=["pdf", "pdf_sha256", "pdf_error"])
    return invoice
