"""Checks VAT ids by what they are: the shape and the check digits of their country, without asking anybody."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from stdnum import get_cc_module
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import InvalidChecksum, InvalidLength
from stdnum.exceptions import ValidationError as StdnumError

#: VAT ids of these begin otherwise than their country's code does.
PREFIXES = {"GR": "EL"}
#: Northern Ireland is in the United Kingdom, and trades goods with ids of the EU.
NORTHERN_IRELAND = "XI"
SEPARATORS = re.compile(r"[\s.,\-/]+")
UNCHECKED = re.compile(r"[A-Z0-9]{4,20}")


def normalise(text: str, country: str) -> str:
    """Return a VAT id of a country as it is kept, without separators and in the EU with its prefix; "" stays "".

    Raises ValidationError with what was expected. Of a country whose ids cannot be checked any short text of letters
    and digits is taken.
    """
    number = SEPARATORS.sub("", text).upper()
    if not number:
        return ""
    try:
        return _validated(number, country)
    except StdnumError as error:
        raise ValidationError(
            _("%(number)s is no VAT id of %(country)s: %(reason)s")
            % {"number": number[:40], "country": country, "reason": _reason(error)}
        ) from error


def _validated(number: str, country: str) -> str:
    if country == "GB" and number.startswith(NORTHERN_IRELAND):
        return str(eu_vat.validate(number))
    if country.lower() in eu_vat.MEMBER_STATES:
        prefix = PREFIXES.get(country, country)
        bare = number[2:] if number[:2] in (prefix, country) else number
        return prefix + str(eu_vat.validate(prefix + bare)).removeprefix(prefix)
    if module := get_cc_module(country, "vat"):
        kept = SEPARATORS.sub("", str(module.validate(number)))
        return f"GB{kept}" if country == "GB" else kept
    if UNCHECKED.fullmatch(number):
        return number
    raise StdnumError


def _reason(error: StdnumError) -> str:
    if isinstance(error, InvalidChecksum):
        return _("its check digit is wrong; a digit may be mistyped.")
    if isinstance(error, InvalidLength):
        return _("it is too long or too short.")
    return _("it is not built like one.")
