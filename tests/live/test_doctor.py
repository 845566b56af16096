"""What the doctor thinks of beat and of the database; the journeys run it beside real processes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from live.management.commands import live_doctor
from live.management.commands.live_doctor import Unwell

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _none_of_the_site() -> None:
    """Billing's own schedules are made by its migrations, and are not what is asked about here."""
    PeriodicTask.objects.all().delete()


@pytest.fixture
def every_minute() -> PeriodicTask:
    """A schedule that was last sent five minutes ago, and changed an hour ago."""
    interval = IntervalSchedule.objects.create(every=60, period=IntervalSchedule.SECONDS)
    schedule = PeriodicTask.objects.create(name="every minute", task="sum_two_numbers", interval=interval)
    now = timezone.now()
    PeriodicTask.objects.update(last_run_at=now - timedelta(minutes=5), date_changed=now - timedelta(hours=1))
    return schedule


def test_no_schedule_is_never_late() -> None:
    assert live_doctor.ask_beat() == "Nothing is scheduled."


def test_a_schedule_that_was_not_sent_is_late(every_minute: PeriodicTask) -> None:
    with pytest.raises(Unwell, match="'every minute'"):
        live_doctor.ask_beat()


def test_a_run_shows_that_beat_sends_before_beat_has_stored_it(
    every_minute: PeriodicTask, make_run: Callable[..., Any]
) -> None:
    make_run("queued", kind="scheduled", schedule="every minute", queued_at=timezone.now() - timedelta(seconds=30))

    assert live_doctor.ask_beat() == "1 schedules, none late."


def test_a_paused_schedule_is_not_late(every_minute: PeriodicTask) -> None:
    every_minute.enabled = False
    every_minute.save()

    assert live_doctor.ask_beat() == "Nothing is scheduled."


def test_without_django_celery_beat_the_settings_are_asked(
    monkeypatch: pytest.MonkeyPatch, make_run: Callable[..., Any]
) -> None:
    monkeypatch.setattr(live_doctor.apps, "is_installed", lambda name: False)
    sent = make_run("queued", task="multiply_two_numbers", kind="scheduled", queued_at=timezone.now())
    assert "none late" in live_doctor.ask_beat()

    sent.queued_at = timezone.now() - timedelta(minutes=5)
    sent.save()
    with pytest.raises(Unwell, match="are late"):
        live_doctor.ask_beat()


def test_a_database_without_our_tables_is_unwell(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is migrated" in live_doctor.ask_database()

    monkeypatch.setattr(live_doctor.MigrationExecutor, "migration_plan", lambda self, targets: targets)
    with pytest.raises(Unwell, match="are missing"):
        live_doctor.ask_database()
