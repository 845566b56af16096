"""The log that the recorder reads: it may begin another life, have holes, or hold what nobody can read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from live import publish, queries, stream
from live import recorder as module
from live.models import Run
from live.recorder import Recorder
from tests.live.publishers import log_rows
from tests.live.readers import Announcer
from tests.live.recording import facts
from tests.live.rows import make_row

pytestmark = pytest.mark.django_db(transaction=True)


def test_another_life_of_the_log_is_read_from_its_beginning(recorder: Recorder, announce: Announcer) -> None:
    announce(make_row("one"))
    announce(make_row("two"))
    recorder.step()
    announce.log.redis.flushall()

    announce(make_row("three"))
    recorder.step()

    assert set(facts()[0]) == {"one", "two", "three"}
    assert queries.position() == (announce.log.epoch, 1)


def test_a_log_that_is_shorter_than_what_was_recorded_is_read_from_its_beginning(
    recorder: Recorder, announce: Announcer
) -> None:
    for number in range(3):
        announce(make_row(f"run-{number}"))
    recorder.step()
    announce.log.redis.delete(stream.key("log"))

    announce(make_row("anew"))
    recorder.step()

    assert "anew" in facts()[0]
    assert queries.position()[1] == 1


def test_entries_that_were_dropped_unread_are_counted(
    recorder: Recorder, announce: Announcer, caplog: pytest.LogCaptureFixture
) -> None:
    announce(make_row("one"))
    recorder.step()
    for number in range(2, 7):
        announce(make_row(f"run-{number}"))
    announce.log.redis.execute_command("XTRIM", stream.key("log"), "MINID", "0-5")

    recorder.step()

    assert "The log dropped 3 entries unread." in caplog.text
    assert set(facts()[0]) == {"one", "run-5", "run-6"}


def test_what_is_recorded_leaves_the_log_but_for_the_newest(
    recorder: Recorder, announce: Announcer, settings: Any
) -> None:
    settings.LIVE_LOG_KEEP_ENTRIES = 100
    for number in range(400):
        announce(make_row(f"run-{number % 5}", moment=number))

    while recorder.step():
        pass

    left = announce.log.redis.xlen(stream.key("log"))
    assert 100 <= left <= 250, "approximate trimming drops whole nodes of 100"


def test_an_entry_that_nobody_can_read_stops_nothing(
    recorder: Recorder, announce: Announcer, caplog: pytest.LogCaptureFixture
) -> None:
    announce(make_row("one"))
    announce.log.append(b'{"no": "list"')
    announce.log.append(b'[{"id": 7}]')
    announce.log.redis.xadd(stream.key("log"), {"another": "field"}, "0-*")
    announce(make_row("two"))

    recorder.step()

    assert set(facts()[0]) == {"one", "two"}
    assert queries.position()[1] == 5
    assert "Entry 2 of the log" in caplog.text


def test_no_run_is_lost_because_the_signs_of_life_went_with_the_log(
    recorder: Recorder, announce: Announcer, make_run: Callable[..., Run]
) -> None:
    make_run("running")
    announce(make_row("one", "succeeded"))
    recorder.step()
    watch = recorder._sweeper
    watch._watching_since = watch._looked_at = time.monotonic() - 3_600
    announce.log.redis.flushall()
    announce(make_row("two", "succeeded"))

    recorder.step()
    watch.sweep_if_due()
    publish.flush()

    assert [row.id for row in log_rows()] == ["two"]
    watch._watching_since = watch._looked_at = time.monotonic() - 3_600
    watch.sweep_if_due()
    publish.flush()
    assert [row.state for row in log_rows() if row.id == "run-0001"] == ["lost"]


def test_what_fails_beside_the_recording_does_not_start_it_again(
    recorder: Recorder, announce: Announcer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LIVE_WORKER_GONE_S = 0
    monkeypatch.setattr("live.sweeper._LOOK_S", 0.0)
    stop, looks = threading.Event(), []

    def fail() -> int:
        looks.append(1)
        if len(looks) == 3:
            stop.set()
        raise KeyError("nobody thought of it")

    monkeypatch.setattr("live.notices.send_due", fail)
    monkeypatch.setattr(module, "_BLOCK_MS", 1)

    recorder.run(stop)

    assert len(looks) == 3
