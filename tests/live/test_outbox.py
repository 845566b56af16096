"""An outbox: in order, bounded, and the newest state instead of everything that was missed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from live.outbox import Outbox, opened


@pytest.fixture
def outbox(settings: Any) -> Outbox:
    settings.LIVE_OUTBOX_FRAMES = 3
    return Outbox()


def taken(outbox: Outbox) -> list[str]:
    """Take all; a subscription that needs a snapshot reads `!a`."""
    found = []
    while True:
        frame, behind = outbox.take()
        if not frame and not behind:
            return found
        found.append(f"!{behind}" if behind else json.loads(frame).get("n", frame))


def put(outbox: Outbox, sub: str, number: int) -> None:
    outbox.put(sub, "changes", f'"n":{number}}}')


def test_frames_go_in_the_order_in_which_they_came(outbox: Outbox) -> None:
    put(outbox, "a", 1)
    outbox.put_frame('{"n":2}')
    put(outbox, "b", 3)

    assert outbox.ready.is_set()
    assert taken(outbox) == [1, 2, 3]
    assert outbox.empty
    assert not outbox.ready.is_set()


def test_a_frame_is_opened_with_its_kind_and_subscription(outbox: Outbox) -> None:
    outbox.put('a"\\\n', "changes", '"seq":1}')

    frame, _ = outbox.take()

    assert json.loads(frame) == {"type": "changes", "sub": 'a"\\\n', "seq": 1}
    assert json.loads(opened("snapshot", "a", '"seq":1}')) == {"type": "snapshot", "sub": "a", "seq": 1}


def test_a_slow_socket_gets_one_snapshot_a_subscription_in_place_of_its_frames(outbox: Outbox) -> None:
    merged = Outbox.merged
    for number in range(3):
        put(outbox, "ab"[number % 2], number)

    put(outbox, "c", 3)
    put(outbox, "a", 4)

    assert sorted(taken(outbox)) == ["!a", "!b", "!c"]
    assert Outbox.merged == merged + 3


def test_what_comes_after_the_snapshot_goes_after_it(outbox: Outbox) -> None:
    outbox.fall_behind("a")
    put(outbox, "a", 1)
    put(outbox, "b", 2)

    assert outbox.take() == ("", "a")
    put(outbox, "a", 3)

    assert taken(outbox) == [2, 3]


def test_answers_are_kept_when_changes_give_way(outbox: Outbox) -> None:
    outbox.put_frame('{"n":0}')
    for number in range(1, 4):
        put(outbox, "a", number)

    assert taken(outbox) == ["!a", 0]


def test_frames_of_nobody_are_bounded_too(outbox: Outbox) -> None:
    for number in range(100):
        outbox.put_frame(f'{{"n":{number}}}')

    assert taken(outbox) == list(range(6))


def test_an_ended_subscription_leaves_nothing(outbox: Outbox) -> None:
    put(outbox, "a", 1)
    put(outbox, "b", 2)
    outbox.fall_behind("c")

    outbox.forget("a")
    outbox.forget("c")

    assert taken(outbox) == [2]


def test_a_socket_that_is_closed_says_its_answers_and_nothing_more_of_any_run(outbox: Outbox) -> None:
    put(outbox, "a", 1)
    outbox.put_frame('{"n":2}')
    outbox.fall_behind("b")

    outbox.close(4001)
    put(outbox, "a", 3)
    outbox.put_frame('{"n":4}')
    outbox.fall_behind("c")

    assert outbox.closing == 4001
    assert taken(outbox) == [2]
    assert outbox.empty
    assert outbox.ready.is_set(), "the writer must wake to close"


def test_the_first_code_is_the_one(outbox: Outbox) -> None:
    outbox.close(4029)
    outbox.close(4000)

    assert outbox.closing == 4029
