"""Beat's scheduler: the settings' entries are seeds; what a person changed since then stays."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from celery.schedules import crontab
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from tat.schedules import SeedingDatabaseScheduler

pytestmark = pytest.mark.django_db(transaction=True)

SEEDS = {
    "every minute": {"task": "multiply_two_numbers", "schedule": crontab(minute="*"), "args": (16, 16)},
    "every 5 seconds": {"task": "multiply_two_numbers", "schedule": 5.0, "args": (16, 16)},
}


@pytest.fixture(autouse=True)
def _none_of_the_site(transactional_db: None) -> None:
    """Billing's own schedules are made by its migrations."""
    PeriodicTask.objects.all().delete()


def start_beat(seeds: dict[str, Any] | None = None) -> SeedingDatabaseScheduler:
    """Do what beat does at its start."""
    app = Celery("beat", set_as_current=False, broker="memory://")
    app.conf.beat_schedule = SEEDS if seeds is None else seeds
    return SeedingDatabaseScheduler(app=app)


def names(scheduler: SeedingDatabaseScheduler) -> set[str]:
    return {name for name in scheduler.schedule if not name.startswith("celery.")}


def test_the_first_start_puts_the_entries_into_the_database() -> None:
    scheduler = start_beat()

    stored = PeriodicTask.objects.filter(task="multiply_two_numbers")
    assert {(entry.name, entry.args) for entry in stored} == {(name, "[16, 16]") for name in SEEDS}
    assert names(scheduler) == set(SEEDS)


def test_a_paused_entry_stays_paused_when_beat_starts_again() -> None:
    start_beat()
    entry = PeriodicTask.objects.get(name="every minute")
    entry.enabled = False
    entry.save()

    scheduler = start_beat()

    entry.refresh_from_db()
    assert not entry.enabled
    assert names(scheduler) == {"every 5 seconds"}


def test_a_changed_entry_stays_as_it_was_changed() -> None:
    start_beat()
    entry = PeriodicTask.objects.get(name="every 5 seconds")
    entry.interval, _ = IntervalSchedule.objects.get_or_create(every=9, period=IntervalSchedule.SECONDS)
    entry.args = "[2, 3]"
    entry.save()

    scheduler = start_beat()

    found = scheduler.schedule["every 5 seconds"]
    assert (list(found.args), found.schedule.run_every.total_seconds()) == ([2, 3], 9)


def test_an_entry_that_a_person_added_stays() -> None:
    start_beat()
    every_second, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="mine", task="sum_two_numbers", args="[1, 2]", interval=every_second)

    assert "mine" in names(start_beat())


def test_an_entry_that_is_new_in_the_settings_is_added() -> None:
    start_beat()
    new = {"task": "sum_two_numbers", "schedule": 60.0, "args": (1, 2)}

    scheduler = start_beat({**SEEDS, "new": new})

    assert names(scheduler) == {*SEEDS, "new"}


def test_a_change_in_the_admin_is_seen_by_the_running_beat() -> None:
    scheduler = start_beat()
    entry = PeriodicTask.objects.get(name="every minute")

    entry.enabled = False
    entry.save()

    assert names(scheduler) == {"every 5 seconds"}


def test_celerys_own_entry_is_seeded_as_well() -> None:
    start_beat()

    assert PeriodicTask.objects.filter(name="celery.backend_cleanup").count() == 1


def test_a_change_saved_while_beat_notes_a_run_is_not_undone() -> None:
    entry = start_beat().schedule["every 5 seconds"]
    entry.model.total_run_count += 1
    is_changed = False

    def change_after_the_first_statement(execute: Any, *statement: Any) -> Any:
        nonlocal is_changed
        answer = execute(*statement)
        if not is_changed:
            is_changed = True
            PeriodicTask.objects.filter(name=entry.name).update(args="[7, 6]")
        return answer

    with connection.execute_wrapper(change_after_the_first_statement):
        entry.save()

    stored = PeriodicTask.objects.get(name=entry.name)
    assert (stored.args, stored.total_run_count) == ("[7, 6]", 1)
