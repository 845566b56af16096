"""What is missing is a loud skip on a laptop, and a failure where everything is required."""

from __future__ import annotations

import pytest

from tests.harness.need import require
from tests.harness.wait import Late, until


def test_what_is_there_is_returned() -> None:
    assert require("/usr/bin/browser", "no browser") == "/usr/bin/browser"


def test_what_is_missing_skips_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAT_REQUIRE_ALL", raising=False)

    with pytest.raises(pytest.skip.Exception, match="no browser"):
        require("", "no browser")


def test_what_is_missing_fails_where_all_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAT_REQUIRE_ALL", "1")

    with pytest.raises(pytest.fail.Exception, match="no browser"):
        require("", "no browser")


def test_waiting_ends_at_the_deadline_and_says_what_there_was() -> None:
    with pytest.raises(Late, match="for the impossible"):
        until(lambda: False, "the impossible", seconds=0.1, explain=lambda: "There was nothing.")
