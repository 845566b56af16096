"""Settings: optional, named after their unit, and read anew when a test changes one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import override_settings

from live import conf

SETTINGS: dict[str, conf.Setting[Any]] = {
    name: value for name, value in vars(conf.Settings).items() if isinstance(value, conf.Setting)
}


def test_a_setting_that_is_not_set_has_its_default() -> None:
    assert conf.live.GATHER_MS == 50


def test_a_setting_is_named_live_in_djangos_settings(settings: Any) -> None:
    settings.LIVE_GATHER_MS = 7

    assert conf.live.GATHER_MS == 7


def test_a_change_holds_as_long_as_its_test() -> None:
    assert conf.live.BATCH_ROWS == 500

    with override_settings(LIVE_BATCH_ROWS=3):
        assert conf.live.BATCH_ROWS == 3

    assert conf.live.BATCH_ROWS == 500


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_is_explained_in_a_sentence(name: str) -> None:
    setting = SETTINGS[name]

    assert setting.name == f"LIVE_{name}"
    assert setting.help[0].isupper()
    assert setting.help.endswith(".")


@pytest.mark.parametrize("name", [name for name, setting in SETTINGS.items() if type(setting.default) in (int, float)])
def test_each_number_is_named_with_its_unit(name: str) -> None:
    units = r"(_CHARS|_ROWS|_ENTRIES|_MS|_S|_DAYS|_BYTES|_FRAMES|_THREADS|_SUBSCRIPTIONS|_PER_S|_PER_10_S)$"

    assert re.search(units, name)
    assert SETTINGS[name].default >= 0


def test_a_thread_that_reads_while_a_setting_changes_does_not_bring_the_old_one_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting = conf.Settings.BATCH_ROWS
    setting._forget()
    django_settings = conf.settings

    class SettingsThatChangeMeanwhile:
        def __getattr__(self, name: str) -> Any:
            setting._forget()
            return 1

    with monkeypatch.context() as patched:
        patched.setattr(conf, "settings", SettingsThatChangeMeanwhile())
        assert conf.live.BATCH_ROWS == 1

    assert conf.settings is django_settings
    assert conf.live.BATCH_ROWS == 500
