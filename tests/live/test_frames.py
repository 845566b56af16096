"""What a client may send: two frames. All else is answered or closed with the right code, and leaves no traceback."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from live import frames
from tests.harness.live_socket import LiveSocket
from tests.harness.stack import MakeStack, Stack

MAX_FRAME_BYTES = 65_536
DEEP = 20_000
RUNS = {"type": "subscribe", "sub": "a", "topic": "runs"}


def frame(**fields: Any) -> str:
    return json.dumps({**RUNS, **fields})


#: What nobody can follow, by what is wrong with it.
MALFORMED = {
    "empty": "",
    "not JSON": "hello",
    "cut off": '{"type":"subscribe","sub":"a"',
    "two values": frame() + frame(),
    "NaN": '{"type":"subscribe","sub":"a","topic":"runs","limit":NaN}',
    "a list": "[]",
    "null": "null",
    "a number": "1",
    "a list of frames": f"[{frame()}]",
    "deep nesting": "[" * DEEP + "]" * DEEP,
    "deep nesting in the filter": frame().replace("}", ',"filter":' + '{"q":' * 9_000 + "1" + "}" * 9_001),
    "no type": '{"sub":"a","topic":"runs"}',
    "unknown type": frame(type="cancel"),
    "type of another type": frame(type=["subscribe"]),
    "no sub": '{"type":"subscribe","topic":"runs"}',
    "empty sub": frame(sub=""),
    "long sub": frame(sub="a" * 65),
    "sub of another type": frame(sub=1),
    "no topic": '{"type":"subscribe","sub":"a"}',
    "topic of another type": frame(topic=None),
    "topic with half a character": frame(topic="run:\ud800"),
    "limit in words": frame(limit="many"),
    "limit in parts": frame(limit=1.5),
    "endless limit": frame(limit=0).replace(": 0}", f": {'1' * 60_000}}}"),
    "since without a seq": frame(since={"epoch": "e"}),
    "endless since": frame(since={"epoch": "e", "seq": 0}).replace(": 0}}", f": {'1' * 60_000}}}}}"),
    "since in parts": frame(since={"epoch": "e", "seq": 1e300}),
    "since of another type": frame(since=97),
    "filter of another type": frame(filter=[]),
    "filter of a text": frame(filter="failed"),
    "filter with an unknown field": frame(filter={"password": "x"}),
    "filter with an unknown state": frame(filter={"state": ["broken"]}),
    "filter with a state that is a map": frame(filter={"state": [{}]}),
    "filter with a state that is a number": frame(filter={"state": 1}),
    "filter with an unknown kind": frame(filter={"kind": "broken"}),
    "filter with a kind that is a list": frame(filter={"kind": []}),
    "filter with a number": frame(filter={"q": 1}),
    "filter with a null": frame(filter={"q": None}),
    "filter with a long text": frame(filter={"q": "x" * 256}),
    "filter with a NUL": frame(filter={"q": "\x00"}),
    "filter with half a character": frame(filter={"q": "\ud800"}),
    "sub with half a character": frame(sub="\udfff", filter={"q": 1}),
    "unsubscribe without a sub": '{"type":"unsubscribe"}',
    "unsubscribe with an empty sub": '{"type":"unsubscribe","sub":""}',
}
#: Topics that there are not.
UNKNOWN_TOPICS = ["", "run", "run:", "Runs", "runs ", "users", "run:\x00", "run:" + "x" * 256, "‮" * 9_000]


def test_a_subscription_is_read_with_all_that_it_may_say() -> None:
    read = frames.read(frame(filter={"state": ["failed"]}, limit=5, since={"epoch": "e", "seq": 97}))

    assert isinstance(read, frames.Subscribe)
    assert (read.sub, read.topic, read.limit, read.since) == ("a", "runs", 5, frames.Since("e", 97))
    assert frames.filter_of(read).state == ("failed",)


def test_what_may_be_left_out_may_be_null_too() -> None:
    assert frames.read(frame(filter=None, limit=None, since=None)) == frames.read(frame())


def test_a_field_of_a_later_version_is_passed_over() -> None:
    assert frames.read(frame(colour="red")) == frames.read(frame())


def test_a_sub_has_up_to_64_characters_of_any_kind() -> None:
    assert frames.read(frame(sub="ä" * 64)).sub == "ä" * 64


_names = st.sampled_from(["type", "sub", "topic", "filter", "state", "q", "since", "seq"])
_anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(_names, inner),
)


@given(_anything)
def test_whatever_comes_is_a_frame_or_a_bad_frame(value: Any) -> None:
    for text in (json.dumps(value), str(value), frame(filter=value), frame(since=value), frame(sub=value)):
        try:
            read = frames.read(text)
            if isinstance(read, frames.Subscribe):
                frames.filter_of(read)
        except frames.BadFrame as error:
            assert error.code == "bad_request"
            assert len(error.sub) <= 64 and len(str(error)) < 500


def test_frames_are_counted_over_ten_seconds(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LIVE_MAX_FRAMES_PER_10_S = 3
    clock = [1000.0]
    monkeypatch.setattr(frames.time, "monotonic", lambda: clock[0])
    throttle = frames.Throttle()

    assert [throttle.exceeded() for _ in range(4)] == [False, False, False, True]
    clock[0] += 10.1
    assert [throttle.exceeded() for _ in range(4)] == [False, False, False, True]


@pytest.fixture(scope="module")
def web(make_stack: MakeStack) -> Iterator[Stack]:
    """A web server whose log holds no traceback when all is over."""
    stack = make_stack("web", LIVE_EMBED_RECORDER=False)
    stack.ask("make_user", "clerk")
    yield stack
    assert "Traceback" not in stack.processes["web"].text()


@pytest.fixture
def socket(web: Stack) -> Iterator[LiveSocket]:
    """A socket of the clerk's, which has heard hello."""
    with LiveSocket(web.origin, web.ask("log_in", "clerk")) as socket:
        socket.wait_for(lambda frame: frame["type"] == "hello")
        yield socket


def answers_to(socket: LiveSocket, text: str) -> list[dict[str, Any]]:
    """Send a text, then a frame that is answered for certain; return what came before that answer."""
    before = len(socket.frames)
    socket.socket.send(text)
    socket.subscribe_and_hear("run:the-end", "end")
    return [frame for frame in socket.frames[before:] if frame.get("sub") != "end"]


def test_each_malformed_frame_is_answered_with_one_error_and_the_socket_goes_on(web: Stack) -> None:
    key, wrong = web.ask("log_in", "clerk"), {}
    names = list(MALFORMED)
    for start in range(0, len(names), 9):  # the tenth on one socket closes it
        with LiveSocket(web.origin, key) as socket:
            socket.wait_for(lambda frame: frame["type"] == "hello")
            for name in names[start : start + 9]:
                answers = answers_to(socket, MALFORMED[name])
                if [(answer["type"], answer.get("code")) for answer in answers] != [("error", "bad_request")]:
                    wrong[name] = answers
                elif not answers[0]["message"] or len(answers[0]["message"]) > 500:
                    wrong[name] = answers

    assert wrong == {}


@pytest.mark.parametrize("topics", [UNKNOWN_TOPICS[:5], UNKNOWN_TOPICS[5:]])
def test_a_topic_that_there_is_not_is_answered_as_such(socket: LiveSocket, topics: list[str]) -> None:
    answers = [answer for topic in topics for answer in answers_to(socket, frame(topic=topic))]

    assert [answer["code"] for answer in answers] == ["unknown_topic"] * len(topics)
    assert all(len(answer["message"]) < 1_000 for answer in answers)


def test_numbers_beyond_all_measure_are_numbers(socket: LiveSocket) -> None:
    for limit, seq in ((10**400, 10**400), (-(10**400), -(10**400)), (2**63, 2**64), (0, 0)):
        answers = answers_to(socket, frame(limit=limit, since={"epoch": "another", "seq": seq}))
        assert [answer["type"] for answer in answers] == ["snapshot"]


def test_a_socket_follows_ten_lists_and_more_runs_beside(socket: LiveSocket) -> None:
    for number in range(10):
        assert socket.subscribe(sub=f"list {number}", limit=number + 1)["type"] == "snapshot"

    assert socket.subscribe_and_hear("runs", "one list more")["code"] == "too_many"
    assert socket.subscribe("run:one", sub="one run more")["type"] == "snapshot"
    assert socket.subscribe(sub="list 3")["type"] == "snapshot", "in place of another"


def test_a_wrong_frame_leaves_the_subscription_of_its_name_alone(socket: LiveSocket) -> None:
    socket.subscribe(sub="a")

    socket.say(type="subscribe", sub="a", topic="runs", filter={"state": ["broken"]})
    error = socket.wait_for(lambda frame: frame["type"] == "error")

    assert (error["sub"], error["code"]) == ("a", "bad_request")
    assert "queued" in error["message"]


def test_the_tenth_bad_frame_closes_with_4400(socket: LiveSocket) -> None:
    for _ in range(10):
        socket.socket.send("hello")

    assert socket.wait_for_close(5)[0] == 4400
    assert [frame["type"] for frame in socket.frames].count("error") == 10


def test_a_binary_frame_closes_with_4400(socket: LiveSocket) -> None:
    socket.socket.send(frame().encode())

    assert socket.wait_for_close(5)[0] == 4400


def test_a_frame_of_64_kib_is_read_and_a_larger_one_closes(web: Stack, socket: LiveSocket) -> None:
    assert answers_to(socket, frame().ljust(MAX_FRAME_BYTES))[0]["type"] == "snapshot"

    socket.socket.send(frame().ljust(MAX_FRAME_BYTES + 1))

    # The server's own bound, which comes before ours.
    assert socket.wait_for_close(5)[0] in (1009, 4400)


def test_text_that_is_no_utf8_closes_with_1007(socket: LiveSocket) -> None:
    socket.socket.send(b"\xff\xfe", text=True)

    assert socket.wait_for_close(5)[0] == 1007


def test_more_than_100_frames_in_10_seconds_close_with_4029(socket: LiveSocket) -> None:
    for number in range(101):
        socket.say(type="unsubscribe", sub=str(number))

    assert socket.wait_for_close(5)[0] == 4029


def test_a_flood_closes_with_4029_and_the_server_serves_the_next(web: Stack, socket: LiveSocket) -> None:
    with contextlib.suppress(ConnectionClosed):
        for _ in range(20_000):
            socket.socket.send(frame())

    assert socket.wait_for_close(10)[0] == 4029
    with LiveSocket(web.origin, web.ask("log_in", "clerk")) as other:
        assert other.subscribe()["type"] == "snapshot"
