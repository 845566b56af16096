"""The admin: runs to look at, schedules that only those change who may."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from live.models import Attempt, Run

RUNS = "/admin/live/run/"
SCHEDULES = "/admin/django_celery_beat/periodictask/"


@pytest.fixture
def staff(client: Client, db: None) -> Any:
    """Log in a member of the staff with these permissions: `staff("live.view_run")`."""

    def log_in(*permissions: str, username: str = "clerk") -> Client:
        user = get_user_model().objects.create_user(username, is_staff=True)
        for permission in permissions:
            app, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def schedule(db: None) -> PeriodicTask:
    """An enabled schedule."""
    every_hour = IntervalSchedule.objects.create(every=1, period="hours")
    return PeriodicTask.objects.create(name="hourly", task="sum_two_numbers", args="[1, 2]", interval=every_hour)


def test_runs_are_listed_searched_and_shown_with_their_attempts(client: Client, admin_user: Any, make_run: Any) -> None:
    run = make_run("failed", title="Import of march.txt")
    make_run("succeeded", title="Import of april.txt")
    Attempt.objects.create(run=run, number=1, state="failed", worker="celery@mill")
    client.force_login(admin_user)

    found = client.get(RUNS, {"q": "march", "state__exact": "failed"}).content.decode()
    shown = client.get(f"{RUNS}{run.pk}/change/").content.decode()

    assert "Import of march.txt" in found
    assert "Import of april.txt" not in found
    assert "celery@mill" in shown


def test_nobody_adds_changes_or_deletes_a_run(client: Client, admin_user: Any, succeeded_run: Run) -> None:
    client.force_login(admin_user)

    assert client.get(f"{RUNS}add/").status_code == 403
    assert client.post(f"{RUNS}{succeeded_run.pk}/change/", {"state": "failed"}).status_code == 403
    assert client.post(f"{RUNS}{succeeded_run.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post(RUNS, {"action": "delete_selected", "_selected_action": [succeeded_run.pk], "post": "yes"})

    assert Run.objects.get().state == "succeeded"


def test_staff_find_their_own_runs_and_with_the_permission_all(staff: Any, make_run: Any) -> None:
    make_run("running", title="mine")
    theirs = make_run("running", title="theirs", owner="somebody")

    client = staff("live.view_run")
    own = client.get(RUNS).content.decode()
    assert "mine" in own
    assert "theirs" not in own
    assert client.get(f"{RUNS}{theirs.pk}/change/").status_code == 302

    client = staff("live.view_run", "live.view_all_runs", username="operator")
    assert "theirs" in client.get(RUNS).content.decode()


@pytest.mark.parametrize("action", ["run_tasks", "enable_tasks", "disable_tasks", "toggle_tasks"])
def test_who_may_only_look_at_schedules_cannot_act_on_them(staff: Any, schedule: PeriodicTask, action: str) -> None:
    client = staff("django_celery_beat.view_periodictask")

    drawn = client.get(SCHEDULES).content.decode()
    client.post(SCHEDULES, {"action": action, "_selected_action": [schedule.pk]})

    assert "hourly" in drawn
    assert action not in drawn
    schedule.refresh_from_db()
    assert schedule.enabled


def test_who_may_change_schedules_pauses_them(staff: Any, schedule: PeriodicTask) -> None:
    client = staff("django_celery_beat.view_periodictask", "django_celery_beat.change_periodictask")

    client.post(SCHEDULES, {"action": "disable_tasks", "_selected_action": [schedule.pk]})

    schedule.refresh_from_db()
    assert not schedule.enabled


@pytest.mark.parametrize("address", [SCHEDULES, "/admin/django_celery_results/taskresult/", RUNS])
def test_the_operators_pages_open(client: Client, admin_user: Any, schedule: PeriodicTask, address: str) -> None:
    client.force_login(admin_user)

    assert client.get(address).status_code == 200
