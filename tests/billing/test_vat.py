"""VAT ids: which ones are taken, how they are kept, and what is said of the others."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from billing import vat

GOOD = "DE136695976"


@pytest.mark.parametrize(
    ("text", "country", "kept"),
    [
        ("", "DE", ""),
        ("  ", "DE", ""),
        ("DE136695976", "DE", "DE136695976"),
        ("de 136 695-976", "DE", "DE136695976"),
        ("136695976", "DE", "DE136695976"),
        ("ATU13585627", "AT", "ATU13585627"),
        ("FR 83 404 833 048", "FR", "FR83404833048"),
        ("GR094259216", "GR", "EL094259216"),
        ("EL 094259216", "GR", "EL094259216"),
        ("NL004495445B01", "NL", "NL004495445B01"),
        ("che-107.787.577 mwst", "CH", "CHE107787577MWST"),
        ("GB 980 7806 84", "GB", "GB980780684"),
        ("12-3456789", "US", "123456789"),
    ],
)
def test_a_good_one_is_kept_without_separators_and_with_its_prefix(text: str, country: str, kept: str) -> None:
    assert vat.normalise(text, country) == kept
    assert vat.normalise(kept, country) == kept


@pytest.mark.parametrize(
    ("text", "country", "reason"),
    [
        ("DE136695977", "DE", "its check digit is wrong"),
        ("DE13669597", "DE", "too long or too short"),
        ("DE13669597X", "DE", "not built like one"),
        ("DEDE136695976", "DE", "is no VAT id of DE"),
        ("ATU13585627", "DE", "is no VAT id of DE"),
        ("DE136695976", "FR", "is no VAT id of FR"),
        ("CHE107787578MWST", "CH", "its check digit is wrong"),
        ("1; DROP", "US", "not built like one"),
    ],
)
def test_a_bad_one_is_refused_with_what_is_wrong(text: str, country: str, reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        vat.normalise(text, country)

    assert reason in refused.value.message


@given(position=st.integers(2, len(GOOD) - 1), digit=st.sampled_from("0123456789"))
def test_one_mistyped_digit_is_always_noticed(position: int, digit: str) -> None:
    mistyped = GOOD[:position] + digit + GOOD[position + 1 :]

    if mistyped == GOOD:
        assert vat.normalise(mistyped, "DE") == GOOD
    else:
        with pytest.raises(ValidationError):
            vat.normalise(mistyped, "DE")


@given(text=st.text(max_size=60), country=st.sampled_from(["DE", "AT", "CH", "GB", "US", "NL", "GR", "IN", "NO", "ZW"]))
def test_whatever_is_typed_it_is_an_id_that_fits_or_a_message(text: str, country: str) -> None:
    try:
        kept = vat.normalise(text, country)
    except ValidationError:
        return
    assert len(kept) <= 20
    assert vat.normalise(kept, country) == kept
