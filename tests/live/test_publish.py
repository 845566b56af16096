"""Publishing: a task hands its row over and goes on; the row arrives, whatever Redis does meanwhile."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter
from typing import Any

import pytest
from channels.layers import get_channel_layer

from live import conf, events, publish, stream
from tests.harness.wait import until
from tests.live.publishers import OwnPublisher, log_ids, log_rows, longest_s, run_python, wait_for_ids
from tests.live.rows import make_row
from tests.live.servers import OwnRedis

ENTRIES = 100_000


def entry_count() -> int:
    log = stream.Log()
    found = len(log.read(0, ENTRIES))
    log.close()
    return found


def test_a_row_arrives_in_the_log(redis: Any, publisher: OwnPublisher) -> None:
    row = make_row()

    publisher.put(row)

    wait_for_ids(row.id)
    assert log_rows() == [row]


async def test_a_row_arrives_as_news(redis: Any, publisher: OwnPublisher) -> None:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(publish.GROUP, channel)

    publisher.put(make_row())
    message = await asyncio.wait_for(layer.receive(channel), 5)

    log = stream.Log()
    epoch = log.head().epoch
    log.close()
    assert (message["type"], message["seq"], message["epoch"]) == (publish.NEWS, 1, epoch)
    assert events.decode_rows(message["rows"]) == [make_row()]
    await layer.flush()


def test_a_quiet_process_sends_at_once(redis: Any, publisher: OwnPublisher, settings: Any) -> None:
    settings.LIVE_GATHER_MS = 60_000

    publisher.put(make_row("quick"))

    wait_for_ids("quick")


def test_a_busy_process_gathers(redis: Any, publisher: OwnPublisher) -> None:
    begun = time.monotonic()
    for number in range(400):
        publisher.put(make_row(str(number)))
        time.sleep(0.001)
    publisher.flush()
    elapsed_s = time.monotonic() - begun

    assert sorted(map(int, log_ids())) == list(range(400))
    assert 2 <= entry_count() <= 5 + elapsed_s * 1000 / conf.live.GATHER_MS + 2


def test_rows_of_many_threads_all_arrive(redis: Any, publisher: OwnPublisher) -> None:
    def put(name: str) -> None:
        for number in range(200):
            publisher.put(make_row(f"{name}{number}"))

    threads = [threading.Thread(target=put, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    wait_for_ids(*[f"{name}{number}" for name in "abcd" for number in range(200)])


def test_nobody_waits_for_a_redis_that_does_not_answer(
    own_redis: OwnRedis, publisher: OwnPublisher, settings: Any
) -> None:
    publisher.put(make_row("before"))
    wait_for_ids("before")
    settings.LIVE_REDIS_TIMEOUT_S = 2.0
    own_redis.freeze()

    longest = longest_s(lambda number: publisher.put(make_row(str(number))), 2_000)
    offered = longest_s(lambda number: publisher.offer("before", make_row), 2_000)
    until(lambda: publisher._failing, "the publisher to notice")

    assert max(longest, offered) < conf.live.REDIS_TIMEOUT_S / 2
    own_redis.thaw()
    wait_for_ids(*map(str, range(2_000)))


def test_rows_wait_for_a_redis_that_is_gone(
    own_redis: OwnRedis, publisher: OwnPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    own_redis.kill()

    longest = longest_s(lambda number: publisher.put(make_row(str(number))), 1_000)
    until(lambda: publisher._failing, "the publisher to notice")
    own_redis.restart()

    assert longest < 1
    wait_for_ids(*map(str, range(1_000)), seconds=5)
    assert caplog.text.count("Redis does not take the rows") == 1
    until(lambda: "Redis takes rows again; 0 merged, 0 lost." in caplog.text, "it to say so")


def test_while_redis_is_gone_the_buffer_is_bounded(own_redis: OwnRedis, publisher: OwnPublisher, settings: Any) -> None:
    settings.LIVE_BUFFER_ROWS = 10
    own_redis.kill()
    publisher.put(make_row("first"))
    until(lambda: publisher._failing, "the publisher to notice")

    for number in range(15):
        for state in ("queued", "received", "running", "succeeded"):
            publisher.put(make_row(str(number), state=state))
    own_redis.restart()

    wait_for_ids("first", *map(str, range(5, 15)))
    assert {row.state for row in log_rows() if row.id != "first"} == {"succeeded"}
    assert (publisher.buffer.merged, publisher.buffer.dropped) == (45, 5)


@pytest.mark.parametrize("goes_on", [True, False], ids=["goes on", "falls silent"])
def test_what_a_redis_forgot_is_said_again(
    own_redis: OwnRedis, publisher: OwnPublisher, monkeypatch: pytest.MonkeyPatch, goes_on: bool
) -> None:
    monkeypatch.setattr(publish, "_KEEP_SENT_S", 1.0)
    publisher.put(make_row("old"))
    wait_for_ids("old")
    until(lambda: not publisher._recent, "the old row to be safe")
    publisher.put(make_row("acknowledged"))
    wait_for_ids("acknowledged")

    own_redis.client.flushall()  # as a machine that lost its last second does, and more
    own_redis.kill()
    own_redis.restart()
    if goes_on:
        publisher.put(make_row("next"))

    wait_for_ids("acknowledged", *(["next"] if goes_on else []))
    assert "old" not in log_ids()


def test_a_row_is_said_again_after_a_restart_that_lost_nothing_too(
    own_redis: OwnRedis, publisher: OwnPublisher
) -> None:
    publisher.put(make_row("acknowledged"))
    wait_for_ids("acknowledged")

    own_redis.kill()
    own_redis.restart()

    until(lambda: log_ids().count("acknowledged") == 2, "it to be said again", explain=lambda: str(log_ids()))


def test_of_many_progresses_few_leave_and_the_last_does(redis: Any, publisher: OwnPublisher) -> None:
    begun = time.monotonic()
    count = 0
    while time.monotonic() - begun < 0.55:
        count += 1
        said = events.Progress(count)
        publisher.offer("run-1", lambda said=said: make_row(progress=said))  # type: ignore[misc]
    publisher.flush()
    elapsed_s = time.monotonic() - begun

    said_currents = [row.progress.current for row in log_rows() if row.progress]
    assert said_currents == sorted(set(said_currents))
    assert said_currents[-1] == count
    assert 2 <= len(said_currents) <= elapsed_s * conf.live.PROGRESS_PER_S + 2


def test_a_progress_that_cannot_be_made_does_not_end_the_thread(redis: Any, publisher: OwnPublisher) -> None:
    def refuse() -> events.Row:
        raise ZeroDivisionError

    publisher.offer("broken", refuse)
    publisher.flush()
    publisher.put(make_row("next"))

    wait_for_ids("next")


def test_a_row_that_cannot_be_written_takes_no_other_with_it(
    redis: Any, publisher: OwnPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    with publisher._wake:  # so that they go as one batch
        for row in (make_row("a"), make_row("b", task="\ud800"), make_row("c", title=object()), make_row("d")):
            publisher.buffer.put(row)
    publisher.put(make_row("e"))

    wait_for_ids("a", "d", "e")
    assert publisher.buffer.dropped == 2
    assert caplog.text.count("A row is lost.") == 2


def test_what_nobody_thought_of_does_not_end_the_thread(
    redis: Any, publisher: OwnPublisher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: stream.Log, rows: bytes) -> int:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(stream.Log, "append", refuse)
        publisher.put(make_row("lost"))
        until(lambda: publisher.buffer.dropped, "the batch to be given up")
    publisher.put(make_row("next"))

    wait_for_ids("next")
    assert "1 rows are lost." in caplog.text


@pytest.mark.parametrize("beside", ["_beat", "_look"])
def test_what_fails_beside_the_rows_costs_none(
    redis: Any, publisher: OwnPublisher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, beside: str
) -> None:
    def fail(log: stream.Log) -> None:
        raise KeyError("nobody thought of it")

    with monkeypatch.context() as patched:
        patched.setattr(publisher, beside, fail)
        publisher.put(make_row("one"))
        wait_for_ids("one")

    assert publisher.buffer.dropped == 0
    assert "The rows go on without it." in caplog.text


@pytest.mark.parametrize(
    "layers",
    [
        {},
        {"default": {"BACKEND": "no.such.Layer"}},
        {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": ["redis://x:1"]}}},
    ],
    ids=["none", "misspelt", "unreachable"],
)
def test_without_a_channel_layer_rows_arrive_in_the_log(
    redis: Any, publisher: OwnPublisher, settings: Any, layers: dict[str, Any]
) -> None:
    settings.CHANNEL_LAYERS = layers

    publisher.put(make_row("a"))
    publisher.put(make_row("b"))

    wait_for_ids("a", "b")


def test_a_worker_gives_signs_of_life_until_it_signs_off(redis: Any, publisher: OwnPublisher, settings: Any) -> None:
    settings.LIVE_WORKER_BEAT_S = 0.05
    log = stream.Log()
    publisher.keep_alive("celery@here", 123)
    until(lambda: log.heartbeats().get("celery@here"), "a sign of life")
    redis.delete(stream.key("workers"))
    until(lambda: log.heartbeats().get("celery@here"), "another sign of life")

    publisher.sign_off()

    assert log.heartbeats() == {}
    log.close()


def test_a_worker_that_stops_does_not_wait_for_redis(own_redis: OwnRedis, publisher: OwnPublisher) -> None:
    publisher.keep_alive("celery@here", 123)
    publisher.put(make_row())
    wait_for_ids("run-1")
    own_redis.freeze()

    begun = time.monotonic()
    publisher.sign_off()

    assert time.monotonic() - begun < conf.live.FLUSH_MS / 1000 + 2


def test_a_flush_of_nothing_takes_no_time(publisher: OwnPublisher) -> None:
    begun = time.monotonic()

    publisher.flush()

    assert time.monotonic() - begun < 0.5
    assert publisher._thread is None


PUT = """
from django.conf import settings
from live import events, publish
def put(run_id):
    version = events.Version(1, 1, 1)
    publish.publisher().put(events.Row(id=run_id, task="t", state="running", version=version))
put("{0}")
"""


def test_the_end_of_a_process_sends_what_waits(redis: Any, redis_url: str) -> None:
    # A name is looked up by a thread pool, which takes no work when the process ends.
    run_python(PUT.format("only"), REDIS_URL=redis_url.replace("127.0.0.1", "localhost"))

    assert log_ids() == ["only"]


@pytest.mark.parametrize("state", ["gone", "frozen"])
def test_the_end_of_a_process_does_not_wait_for_redis(own_redis: OwnRedis, state: str) -> None:
    {"gone": own_redis.kill, "frozen": own_redis.freeze}[state]()

    out = run_python(f"{PUT.format('only')}\nimport time\nprint(time.time(), flush=True)", REDIS_URL=own_redis.url)
    ended_after_s = time.time() - float(out)

    assert ended_after_s < conf.live.FLUSH_MS / 1000 + 3


def test_a_fork_gets_a_thread_of_its_own(redis: Any) -> None:
    code = f"""
import os
{PUT.format("parent")}
settings.LIVE_FLUSH_MS = 20_000
parent = publish.publisher()
children = []
for name in "ab":
    child = os.fork()
    if not child:
        assert publish.publisher() is not parent
        for number in range(200):
            put(f"{{name}}{{number}}")
        publish.flush()
        os._exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
put("after")
"""

    run_python(code)

    wanted = [f"{name}{number}" for name in "ab" for number in range(200)]
    assert Counter(log_ids()) == Counter(["parent", "after", *wanted])


def test_the_thread_imports_nothing_as_a_fork_would_inherit_its_lock(redis: Any) -> None:
    code = f"""
import sys
from live import stream
before = set(sys.modules)
{PUT.format("only")}
publish.flush()
print(*sorted(set(sys.modules) - before))
"""

    assert run_python(code).split() == []
    assert log_ids() == ["only"]


def test_a_process_has_one_publisher(redis: Any) -> None:
    found: list[publish.Publisher] = []
    threads = [threading.Thread(target=lambda: found.append(publish.publisher())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    assert len({id(publisher) for publisher in found}) == 1
    assert found[0].pid == os.getpid()
