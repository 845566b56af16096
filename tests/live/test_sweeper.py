"""The sweeper: runs of a worker that is gone are lost or wait again, never too early; old runs leave in small steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import OperationalError

from live import events, notices, publish, queries, stream, sweeper
from live.models import Attempt, Run
from live.recorder import Recorder
from live.sweeper import Sweeper
from tests.harness.wait import until
from tests.live.publishers import log_rows
from tests.live.readers import Announcer
from tests.live.rows import make_row
from tests.live.servers import OwnRedis
from tests.live.sweeping import HOUR_US, NOW_US, beat_long_ago, sweep, sweep_twice

pytestmark = pytest.mark.django_db


def test_a_run_whose_worker_gives_no_sign_of_life_is_lost(log: stream.Log, running_run: Run) -> None:
    told = sweep(log)

    assert told["run-0001"].state == "lost"
    assert told["run-0001"].error == events.Error("WorkerGone", "celery@here gave no sign of life")
    assert told["run-0001"].progress == events.Progress(3, 10, "rows", "reading", 1)


def test_a_stale_heartbeat_is_none(log: stream.Log, running_run: Run) -> None:
    beat_long_ago(log, "celery@here", 20)

    assert sweep(log)["run-0001"].state == "lost"


def test_a_heartbeat_that_is_a_little_late_is_one(log: stream.Log, running_run: Run) -> None:
    beat_long_ago(log, "celery@here", 8)

    assert sweep(log) == {}


def test_the_runs_of_a_worker_that_gives_signs_of_life_go_on(log: stream.Log, make_run: Callable[..., Run]) -> None:
    make_run("running")
    make_run("received")
    make_run("running", worker="celery@there")
    log.beat("celery@here", NOW_US - HOUR_US)

    assert set(sweep(log)) == {"run-0003"}


def test_what_a_worker_held_before_it_began_anew_is_lost_and_what_it_holds_now_is_not(
    log: stream.Log, make_run: Callable[..., Run]
) -> None:
    make_run("running")
    make_run("running", started_at=datetime.fromtimestamp(NOW_US / 1_000_000, UTC))
    log.beat("celery@here", NOW_US - 1_000_000)

    assert {run_id: row.state for run_id, row in sweep(log).items()} == {"run-0001": "lost"}


def test_a_run_that_its_living_worker_no_longer_has_is_lost(log: stream.Log, make_run: Callable[..., Run]) -> None:
    make_run("running")
    make_run("running")
    log.beat("celery@here", NOW_US - HOUR_US, stream.Holding(NOW_US, ["run-0002"]))

    told = sweep_twice(log)

    assert {run_id: row.state for run_id, row in told.items()} == {"run-0001": "lost"}
    assert told["run-0001"].error and told["run-0001"].error.type == "EndUnknown"


def test_a_run_that_its_living_worker_let_go_before_it_began_waits_again(
    log: stream.Log, recorder: Recorder, announce: Announcer, make_run: Callable[..., Run]
) -> None:
    run = make_run("received")
    log.beat("celery@here", NOW_US - HOUR_US, stream.Holding(NOW_US, []))

    told = sweep_twice(log)["run-0001"]
    recorder.step()

    assert (told.state, told.worker, told.received_at, told.error) == ("queued", "", None, None)
    assert Run.objects.get().state == "queued"
    for state, phase in (("received", 0), ("running", 1)):
        announce(make_row("run-0001", state, phase=phase, moment=run.version_moment + 900_000_000))
        recorder.step()
        assert Run.objects.get().state == state


@pytest.mark.parametrize("error", ["WorkerGone", "EndUnknown"])
def test_a_run_that_its_worker_holds_after_all_runs_again(
    log: stream.Log, recorder: Recorder, make_run: Callable[..., Run], error: str
) -> None:
    make_run("lost", error={"type": error, "message": "gone", "traceback": ""}, finished_at=None)
    log.beat("celery@here", NOW_US - HOUR_US, stream.Holding(NOW_US, ["run-0001"]))

    told = sweep(log)
    recorder.step()

    if error == "WorkerGone":
        assert (told["run-0001"].state, told["run-0001"].error) == ("running", None)
        assert Run.objects.get().state == Attempt.objects.get().state == "running"
        assert sweep_twice(log) == told
    else:
        assert told == {}, "its worker knew of it nothing, and may have got it a second time"


@pytest.mark.parametrize("differs", ["another life", "another worker", "not held", "silent"])
def test_a_lost_run_that_may_only_wait_somewhere_stays_lost(
    log: stream.Log, make_run: Callable[..., Run], differs: str
) -> None:
    make_run("lost", error={"type": "WorkerGone", "message": "gone", "traceback": ""})
    boot = NOW_US if differs == "another life" else NOW_US - HOUR_US
    held = stream.Holding(NOW_US, [] if differs == "not held" else ["run-0001"])
    log.beat("celery@there" if differs == "another worker" else "celery@here", boot, held)
    if differs == "silent":
        now = log.redis.time()[0]
        beat = f'{boot} {now - 60} [{NOW_US},["run-0001"]]'
        log.redis.hset(stream.key("workers"), "celery@here", beat)

    assert sweep(log) == {}


def test_what_fails_beside_the_recording_stops_neither_it_nor_the_rest(
    log: stream.Log, running_run: Run, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LIVE_WORKER_GONE_S = 0
    monkeypatch.setattr(sweeper, "_LOOK_S", 0.0)
    monkeypatch.setattr(sweeper, "_PRUNE_S", 0.0)
    done = []

    def fail() -> int:
        done.append("tried")
        raise KeyError("nobody thought of it")

    monkeypatch.setattr(notices, "send_due", fail)
    watch = Sweeper(log)
    monkeypatch.setattr(watch, "sweep_lost", fail)
    monkeypatch.setattr(watch, "prune", lambda: done.append("pruned") or 0)

    watch.sweep_if_due()

    assert done == ["tried", "tried", "pruned"]
    assert caplog.text.count("recording goes on") == 2


@pytest.mark.parametrize("away", [OperationalError, stream.redis.ConnectionError])
def test_a_database_or_redis_that_is_away_is_the_recorders_to_wait_for(
    log: stream.Log, settings: Any, monkeypatch: pytest.MonkeyPatch, away: type[Exception]
) -> None:
    def fail() -> int:
        raise away("gone")

    settings.LIVE_WORKER_GONE_S = 0
    monkeypatch.setattr(sweeper, "_LOOK_S", 0.0)
    watch = Sweeper(log)
    monkeypatch.setattr(watch, "sweep_lost", fail)

    with pytest.raises(away):
        watch.sweep_if_due()


def test_a_run_that_reports_between_two_looks_is_not_lost(log: stream.Log, make_run: Callable[..., Run]) -> None:
    run = make_run("running")
    log.beat("celery@here", NOW_US - HOUR_US, stream.Holding(NOW_US, []))
    sweeper = Sweeper(log)

    sweeper.sweep_lost()
    Run.objects.filter(id=run.id).update(state="succeeded")

    assert sweeper.sweep_lost() == 0


def test_a_run_that_began_just_before_its_worker_looked_is_not_lost(
    log: stream.Log, make_run: Callable[..., Run]
) -> None:
    make_run("running", started_at=datetime.fromtimestamp(NOW_US / 1_000_000 - 4, UTC))
    log.beat("celery@here", NOW_US - HOUR_US, stream.Holding(NOW_US, []))

    assert sweep_twice(log) == {}


def test_an_end_that_is_told_late_takes_the_place_of_lost(log: stream.Log, make_run: Callable[..., Run]) -> None:
    run = make_run("running")
    log.beat("celery@here", NOW_US - HOUR_US, stream.Holding(NOW_US, []))
    lost = sweep_twice(log)["run-0001"]

    ended = make_row("run-0001", state="succeeded", moment=run.version_moment + 1_000)

    assert events.merge(lost, ended).state == "succeeded"


def test_a_run_that_its_worker_had_not_begun_waits_again(
    log: stream.Log, recorder: Recorder, make_run: Callable[..., Run]
) -> None:
    make_run("received", started_at=None)

    told = sweep(log)["run-0001"]
    recorder.step()

    assert (told.state, told.worker, told.received_at, told.error) == ("queued", "", None, None)
    assert Run.objects.get().state == "queued"


@pytest.mark.parametrize("state", sorted(set(events.STATES) - {"received", "running"}))
def test_a_run_that_no_worker_holds_is_left_alone(log: stream.Log, make_run: Callable[..., Run], state: str) -> None:
    make_run(state)

    assert sweep(log) == {}


def test_a_lost_run_is_told_once(log: stream.Log, recorder: Recorder, running_run: Run) -> None:
    sweep(log)
    recorder.step()
    before = len(log_rows())

    assert Sweeper(log).sweep_lost() == 0
    publish.flush()

    assert len(log_rows()) == before
    assert [(attempt.number, attempt.state) for attempt in Attempt.objects.all()] == [(1, "lost")]


@pytest.mark.parametrize("order", ["after", "before"])
def test_what_the_worker_says_of_the_end_wins_over_lost_whenever_it_comes(
    log: stream.Log, recorder: Recorder, announce: Announcer, running_run: Run, order: str
) -> None:
    known = queries.to_row(running_run)
    end = make_row("run-0001", "succeeded", moment=known.version.moment - 5, owner="clerk", result="1")
    if order == "before":
        announce(end)
    sweep(log)
    if order == "after":
        recorder.step()
        assert Run.objects.get().state == "lost"
        announce(end)

    while recorder.step():
        pass

    assert Run.objects.get().state == "succeeded"
    assert Attempt.objects.get().state == "succeeded"


def test_one_look_calls_a_bounded_number_lost(
    log: stream.Log, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "_MAX_LOST", 3)
    for number in range(5):
        make_run("running", worker=f"celery@{number % 2}")

    assert Sweeper(log).sweep_lost() == 3


def swept(sweeper_: Sweeper, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note when it looks for lost runs."""
    looks: list[float] = []
    monkeypatch.setattr(sweeper_, "sweep_lost", lambda: looks.append(time.monotonic()))
    return looks


def test_nothing_is_called_lost_before_a_worker_had_the_time_to_give_a_sign(
    log: stream.Log, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LIVE_WORKER_GONE_S = 0.4
    monkeypatch.setattr(sweeper, "_LOOK_S", 0.1)
    begun = time.monotonic()
    watch = Sweeper(log)
    looks = swept(watch, monkeypatch)
    until(lambda: watch.sweep_if_due() or looks, "the first look")
    assert looks[0] - begun >= 0.4

    watch.restart()
    begun = time.monotonic()
    looks.clear()
    until(lambda: watch.sweep_if_due() or looks, "the first look after the restart")
    assert looks[0] - begun >= 0.4


def test_between_two_looks_is_some_time(log: stream.Log, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LIVE_WORKER_GONE_S = 0
    monkeypatch.setattr(sweeper, "_LOOK_S", 0.2)
    watch = Sweeper(log)
    looks = swept(watch, monkeypatch)

    until(lambda: watch.sweep_if_due() or len(looks) == 3, "three looks")

    assert all(later - earlier >= 0.2 for earlier, later in pairwise(looks))


@pytest.mark.django_db(transaction=True)
def test_while_redis_is_away_time_does_not_count_against_a_worker(
    own_redis: OwnRedis, make_run: Callable[..., Run], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LIVE_WORKER_GONE_S = 2.0
    settings.LIVE_LEASE_S = 0.5
    monkeypatch.setattr(sweeper, "_LOOK_S", 0.1)
    make_run("running")
    beats, looks, stop = stream.Log(), [], threading.Event()
    sweep_lost = Sweeper.sweep_lost
    monkeypatch.setattr(Sweeper, "sweep_lost", lambda self: looks.append(sweep_lost(self)))
    recorder = threading.Thread(target=Recorder().run, args=[stop])
    beats.beat("celery@here", NOW_US - HOUR_US)
    recorder.start()
    try:
        own_redis.kill()
        gone = time.monotonic()
        until(lambda: time.monotonic() - gone > 2.5, "Redis to be away for longer than a worker may be silent")
        own_redis.restart()

        def beat() -> bool:
            beats.beat("celery@here", NOW_US - HOUR_US)
            return len(looks) >= 3

        assert looks == []
        until(beat, "three looks after Redis came back")
        assert looks[:3] == [0, 0, 0]
        until(lambda: sum(looks) == 1, "the worker to be missed once it really is silent")
    finally:
        stop.set()
        recorder.join(10)
        beats.close()


@pytest.fixture
def old_runs(make_run: Callable[..., Run], settings: Any) -> list[str]:
    """Seven ended runs, one a day, beside runs that have not ended; fourteen days are kept."""
    now = datetime.now(UTC)
    for age in (10, 13, 15, 16, 17, 18, 19):
        run = make_run("succeeded", queued_at=now - timedelta(days=age), id=f"ended-{age}")
        Attempt.objects.create(run=run, number=1, state="succeeded")
    for state in ("queued", "received", "running", "retrying"):
        make_run(state, queued_at=now - timedelta(days=99), id=state)
    make_run("lost", queued_at=now - timedelta(days=99), id="lost")
    settings.LIVE_KEEP_DAYS = 14
    return [run.id for run in Run.objects.all()]


def test_only_ended_runs_older_than_what_is_kept_are_removed(log: stream.Log, old_runs: list[str]) -> None:
    assert Sweeper(log).prune() == 6

    kept = set(Run.objects.values_list("id", flat=True))
    assert kept == {"ended-10", "ended-13", "queued", "received", "running", "retrying"}
    assert set(Attempt.objects.values_list("run_id", flat=True)) == {"ended-10", "ended-13"}


def test_a_bounded_number_is_removed_at_once_the_oldest_first_and_the_rest_soon(
    log: stream.Log, old_runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "_PRUNE_RUNS", 3)
    monkeypatch.setattr(sweeper, "_PRUNE_S", 0.0)
    watch = Sweeper(log)
    watch.sweep_if_due()
    assert set(old_runs) - set(Run.objects.values_list("id", flat=True)) == {"lost", "ended-19", "ended-18"}
    monkeypatch.setattr(sweeper, "_PRUNE_S", 60.0)
    watch._pruned_at -= 60
    watch.sweep_if_due()
    assert Run.objects.count() == len(old_runs) - 6

    watch.sweep_if_due()
    watch.sweep_if_due()

    assert Run.objects.count() == len(old_runs) - 6
    assert watch._pruned_at > time.monotonic() - 30


def test_with_no_limit_nothing_is_removed(log: stream.Log, old_runs: list[str], settings: Any) -> None:
    settings.LIVE_KEEP_DAYS = 0

    assert Sweeper(log).prune() == 0
    assert Run.objects.count() == len(old_runs)
