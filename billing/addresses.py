"""E-mail addresses as mail servers take them: a domain may be in any script, and goes out in Punycode."""

from __future__ import annotations

import idna
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _


def to_ascii(address: str) -> str:
    """Return the address with its domain in Punycode. Raises ValidationError for what cannot be written so."""
    local, _at, domain = address.rpartition("@")
    if not local.isascii():
        raise ValidationError(_("The part before the @ must be of letters from a to z, digits and signs."))
    try:
        return f"{local}@{domain if domain.isascii() else idna.encode(domain, uts46=True).decode()}"
    except UnicodeError as error:
        raise ValidationError(_("There can be no domain %(domain)s.") % {"domain": domain}) from error


def validate_ascii(address: str) -> None:
    """Refuse an address that cannot be written in ASCII. Raises ValidationError."""
    to_ascii(address)
