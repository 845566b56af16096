"""What a row may carry of a task's values: short, storable, without secrets, whatever the task was given."""

from __future__ import annotations

import enum
import json
import time
from decimal import Decimal
from typing import Any

import pytest
from billiard.einfo import ExceptionInfo
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given, settings
from hypothesis import strategies as st

from live import texts


class Unprintable:
    """What neither repr nor str can say."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


class Broken(dict[str, int]):
    """A mapping that cannot be read."""

    def items(self) -> Any:
        raise RuntimeError("no items")


class Mute(Exception):
    """An exception that cannot be said."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Price(float):
    """A float that JSON is not written for, as numpy's is one."""


class Count(int):
    """An int that JSON is not written for."""


class Colour(enum.IntEnum):
    RED = 1


def cyclic() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


HOSTILE = [
    Unprintable(),
    [Unprintable()],
    {"a": Unprintable()},
    {Unprintable(): 1},
    Broken(a=1),
    [Broken(a=1)],
    cyclic(),
    10**5000,
    -(2**70),
    2**64,
    float("nan"),
    float("inf"),
    Price(1.5),
    Count(3),
    Colour.RED,
    mark_safe("<b>"),
    gettext_lazy("Import"),
    Decimal("1.20"),
    "\ud800\x00🙂",
    b"\xff\x00",
    {"\ud800": "\x00"},
    {1: 2, None: 3, (1, 2): 4},
    {1, 2},
    iter([1]),
    object,
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: type(value).__name__)
def test_any_value_becomes_short_json_that_every_database_takes(value: Any) -> None:
    args, kwargs = texts.arguments((value,), {"given": value})
    result = texts.value(value)

    for text in (args, kwargs, result):
        assert type(text) is str
        assert len(text) <= 1_024
        assert "\x00" not in text
        text.encode("utf-8", "strict")
        json.loads(text)


@settings(max_examples=60)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()), st.lists))
def test_any_json_like_value_becomes_storable_text(value: Any) -> None:
    text = texts.value(value)

    assert "\x00" not in text
    text.encode("utf-8", "strict")


def test_a_value_reads_as_what_it_is() -> None:
    values = (1, "two", None, True, 2.5, [3, {"four": 5}], mark_safe("<b>"), Price(1.5), Count(3))

    args, kwargs = texts.arguments(values, {"six": 7})

    assert args == '[1,"two",null,true,2.5,[3,{"four":5}],"<b>",1.5,3]'
    assert kwargs == '{"six":7}'


def test_no_arguments_read_as_empty_lists() -> None:
    assert texts.arguments((), None) == ("[]", "{}")
    assert texts.arguments(None, {}) == ("[]", "{}")


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_000_000,
        "ü" * 1_000_000,
        b"x" * 1_000_000,
        bytearray(1_000_000),
        list(range(1_000_000)),
        dict.fromkeys(map(str, range(100_000))),
        set(range(100_000)),
        [[[["x" * 1_000] * 1_000] * 1_000] * 1_000] * 1_000,
        {"a": {"b": {"c": [{"d" * 10_000: "e" * 10_000}] * 1_000}}},
    ],
    ids=["ascii", "unicode", "bytes", "bytearray", "list", "dict", "set", "deep lists", "deep dicts"],
)
def test_a_megabyte_of_arguments_costs_microseconds(value: Any) -> None:
    def cost_s() -> float:
        begun = time.perf_counter()
        texts.arguments((value,), {"value": value})
        return time.perf_counter() - begun

    best_s = min(cost_s() for _ in range(20))

    assert best_s < 0.001


def test_what_was_left_out_is_shown_as_left_out() -> None:
    args, kwargs = texts.arguments(["x" * 400, [[[[[1]]]]], *range(30)], {str(number): number for number in range(30)})

    assert args.startswith('["' + "x" * 299 + '…",[[[["…"]]]],0,1,')
    assert args.endswith(',17,"…"]')
    assert kwargs.endswith('"19":19,"…":"…"}')


def test_a_text_is_cut_to_what_the_settings_say(settings: Any) -> None:
    settings.LIVE_TEXT_CHARS = 10

    assert texts.value("abcdefghijkl") == '"abcdefgh…'


@pytest.mark.parametrize("name", ["password", "new_PASSWORD", "api_key", "authToken", "card_number", "iban"])
def test_a_secret_is_struck_out_by_its_name(name: str) -> None:
    args, kwargs = texts.arguments(({name: "hush"}, [{"deep": {name: "hush"}}]), {name: "hush", "user": "clerk"})

    assert "hush" not in args + kwargs
    assert json.loads(kwargs) == {name: texts.STRUCK, "user": "clerk"}


def test_a_secret_is_struck_out_by_its_position() -> None:
    args, _ = texts.arguments(("clerk", "hush", 3), {}, names=("user", "password"))

    assert json.loads(args) == ["clerk", texts.STRUCK, 3]


def test_what_is_secret_can_be_set(settings: Any) -> None:
    settings.LIVE_REDACT = ["shoe_size"]

    _, kwargs = texts.arguments((), {"shoe_size": 43, "password": "shown"})

    assert json.loads(kwargs) == {"shoe_size": texts.STRUCK, "password": "shown"}


def test_an_error_is_described_by_its_type_message_and_traceback() -> None:
    error = texts.error(ValueError("no such charge"), "Traceback …")

    assert (error.type, error.message, error.traceback) == ("ValueError", "no such charge", "Traceback …")


def test_an_error_from_a_pool_is_described_as_the_error_inside() -> None:
    try:
        raise KeyError("charge")
    except KeyError:
        info = ExceptionInfo()

    error = texts.error(info.exception, info.traceback)

    assert (error.type, error.message) == ("KeyError", "'charge'")
    assert 'raise KeyError("charge")' in error.traceback


@pytest.mark.parametrize("exception", [Mute(), Exception(Unprintable()), None, ValueError("\ud800\x00" * 10_000)])
def test_any_exception_can_be_described(exception: Any) -> None:
    error = texts.error(exception, traceback=object())

    assert len(error.message) <= 1_024
    assert error.traceback == ""
    f"{error.type}{error.message}".encode("utf-8", "strict")


def test_the_end_of_a_long_traceback_is_kept_as_the_cause_is_there(settings: Any) -> None:
    settings.LIVE_TRACEBACK_CHARS = 100

    error = texts.error(ValueError("x"), "begin" + "y" * 1_000 + "end\x00")

    assert len(error.traceback) == 101
    assert error.traceback.startswith("…y")
    assert error.traceback.endswith("end�")


@given(st.text(st.characters(), max_size=30))
def test_a_clean_text_is_storable_and_stays_as_it_is(text: str) -> None:
    clean = texts.clean(text)

    assert len(clean) == len(text)
    assert "\x00" not in clean
    assert texts.clean(clean) == clean == clean.encode("utf-8", "strict").decode()


def test_a_text_that_only_looks_like_one_becomes_one() -> None:
    assert type(texts.clean(SafeString("<b>"))) is str
    assert type(texts.say(gettext_lazy("Import"), 10)) is str
