"""E-mail addresses in any script: the domain goes out in Punycode, what cannot be written so is refused."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from billing.addresses import to_ascii


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("ada@example.com", "ada@example.com"),
        ("rechnung@müller.de", "rechnung@xn--mller-kva.de"),
        ("rechnung@MÜLLER.de", "rechnung@xn--mller-kva.de"),
        ("post@straße.de", "post@xn--strae-oqa.de"),  # and not strasse.de, which is somebody else's
    ],
)
def test_a_domain_is_written_in_ascii(address: str, written: str) -> None:
    assert to_ascii(address) == written


@pytest.mark.parametrize(
    ("address", "sentence"),
    [("jürgen@example.com", "The part before the @"), ("post@☃.de", "no domain ☃.de"), ("post@ü-.de", "no domain")],
)
def test_what_no_mail_server_takes_is_refused_with_a_sentence(address: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        to_ascii(address)
