"""Where a run comes from: what its message's header says, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import current_app, group
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from redis import Redis

from live import current, events, headers, origin
from tests.live import tasks
from tests.live.workers import wait_for

Sent = Callable[[Any], dict[str, Any]]
QUEUE = "nobody-takes-this"


@pytest.fixture
def sent(redis_url: str) -> Iterator[Sent]:
    """Return the headers of the message that carries a run, as it lies in the broker."""
    with Redis.from_url(redis_url) as client:
        prefix = current_app.conf.broker_transport_options["global_keyprefix"]

        def find(result: Any) -> dict[str, Any]:
            for message in map(json.loads, client.lrange(f"{prefix}{QUEUE}", 0, -1)):
                if message["headers"]["id"] == str(result.id):
                    return dict(message["headers"])
            raise LookupError(f"no message of {result.id}")

        yield find
        client.delete(f"{prefix}{QUEUE}")


@contextmanager
def served_for(user: Any) -> Iterator[HttpRequest]:
    """Serve a request of this user."""
    request = HttpRequest()
    request.user = user
    token = origin.current_request.set(request)
    yield request
    origin.current_request.reset(token)


class Person:
    """A user of a project that logs in with numbers."""

    is_authenticated = True

    def get_username(self) -> Any:
        return 4711


def test_a_message_says_where_its_run_comes_from(sent: Sent) -> None:
    with served_for(Person()):
        result = tasks.add.apply_async((1, 2), queue=QUEUE, headers=headers("Import of march.txt", "/imports/3/"))

    found = sent(result)[origin.HEADER]

    assert abs(found.pop("queued_at") - current.moment()) < 60_000_000
    assert found == {
        "id": result.id,
        "kind": "ad_hoc",
        "title": "Import of march.txt",
        "link": "/imports/3/",
        "schedule": "",
        "queue": QUEUE,
        "owner": "4711",
        "args": "[1,2]",
        "kwargs": "{}",
        "received_at": None,
    }


@pytest.mark.parametrize("user", [None, AnonymousUser()], ids=["no user", "anonymous"])
def test_a_run_that_nobody_is_logged_in_for_has_no_owner(sent: Sent, user: Any) -> None:
    with served_for(user):
        result = tasks.add.apply_async((1, 2), queue=QUEUE)

    assert sent(result)[origin.HEADER]["owner"] == ""


def test_a_request_without_users_sends_runs_without_an_owner(sent: Sent) -> None:
    token = origin.current_request.set(HttpRequest())
    result = tasks.add.apply_async((1, 2), queue=QUEUE)
    origin.current_request.reset(token)

    assert sent(result)[origin.HEADER]["owner"] == ""


@pytest.mark.parametrize("title", [mark_safe("<b>"), gettext_lazy("Import"), 3, "\ud800\x00", "x" * 1_000], ids=repr)
def test_a_title_is_whatever_can_be_said(sent: Sent, title: Any) -> None:
    result = tasks.add.apply_async((1, 2), queue=QUEUE, headers=headers(title=title))

    found = sent(result)[origin.HEADER]["title"]

    assert 0 < len(found) <= 255
    assert "\x00" not in found.encode("utf-8", "strict").decode()


def test_headers_that_a_group_shares_stay_as_they_were(sent: Sent) -> None:
    shared = headers(title="Import")
    before = json.dumps(shared)

    result = group(tasks.add.s(number, number).set(queue=QUEUE) for number in range(3)).apply_async(headers=shared)

    found = [sent(member)[origin.HEADER] for member in result.results]
    assert json.dumps(shared) == before
    assert [one["id"] for one in found] == [member.id for member in result.results]
    assert {one["title"] for one in found} == {"Import"}


def test_headers_of_another_run_do_not_name_this_one(sent: Sent) -> None:
    other = sent(tasks.add.apply_async((1, 2), queue=QUEUE, headers=headers(title="Other")))

    result = tasks.add.apply_async((3, 4), queue=QUEUE, headers={origin.HEADER: other[origin.HEADER]})

    found = sent(result)[origin.HEADER]
    assert (found["id"], found["title"], found["args"]) == (result.id, "", "[3,4]")


@pytest.mark.parametrize("given", ["text", 3, [], {"id": 3}, {"title": None}], ids=repr)
def test_a_header_of_the_same_name_from_elsewhere_does_no_harm(sent: Sent, given: Any) -> None:
    result = tasks.add.apply_async((1, 2), queue=QUEUE, headers={origin.HEADER: given})

    assert sent(result)[origin.HEADER]["id"] == result.id
    assert wait_for(result.id, "queued").title == ""


@pytest.mark.parametrize("task", [tasks.login, tasks.login_bound, tasks.login_retried], ids=lambda task: task.name)
def test_a_secret_is_struck_out_by_its_position_however_the_task_is_made(sent: Sent, task: Any) -> None:
    result = task.apply_async(("clerk", "hush"), queue=QUEUE)

    found = sent(result)[origin.HEADER]

    assert json.loads(found["args"]) == ["clerk", "•••"]
    assert wait_for(result.id, "queued").args == found["args"]


def test_a_schedule_is_known_by_the_header_that_beat_gives(sent: Sent) -> None:
    result = tasks.add.apply_async((1, 2), queue=QUEUE, headers={"periodic_task_name": "every minute"})

    found = sent(result)[origin.HEADER]

    assert (found["kind"], found["schedule"]) == ("scheduled", "every minute")


def test_a_schedule_that_a_person_runs_now_is_theirs(sent: Sent) -> None:
    with served_for(Person()):
        result = tasks.add.apply_async((1, 2), queue=QUEUE, headers={"periodic_task_name": "every minute"})

    found = sent(result)[origin.HEADER]

    assert (found["kind"], found["schedule"], found["owner"]) == ("ad_hoc", "every minute", "4711")


def test_all_that_beat_sends_is_scheduled(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "_in_beat", False)

    origin.note_beat(sender=None)
    result = tasks.add.apply_async((1, 2), queue=QUEUE)

    assert sent(result)[origin.HEADER]["kind"] == "scheduled"


MESSAGE = {"id": "r1", "task": "unit.login", "args": ["clerk", "hush"], "kwargs": {}, "parent_id": None}


def test_what_can_be_known_of_a_message_without_a_header_is_told() -> None:
    message = {**MESSAGE, "delivery_info": {"routing_key": "slow"}, "parent_id": "p1"}

    found = origin.of_message(message)

    assert (found.id, found.kind, found.queue, found.owner, found.title) == ("r1", "child", "slow", "", "")
    assert json.loads(found.args) == ["clerk", "•••"]


@pytest.mark.parametrize(
    "header",
    [
        {"queued_at": "yesterday"},
        {"queued_at": 10**30},
        {"queued_at": -1},
        {"queued_at": None},
        {"kind": "odd"},
        {"owner": 3},
        {"received_at": "now"},
        {"args": []},
    ],
    ids=str,
)
def test_a_header_that_is_not_ours_counts_as_none(header: dict[str, Any]) -> None:
    good = {"id": "r1", "kind": "ad_hoc", "queued_at": 1_000_000, "owner": "admin"}
    message = {**MESSAGE, origin.HEADER: {**good, **header}}

    found = origin.of_message(message)

    assert (found.id, found.owner) == ("r1", "")
    assert abs(found.queued_at - current.moment()) < 60_000_000


def test_a_worker_that_has_a_message_writes_so_into_it() -> None:
    message: dict[str, Any] = dict(MESSAGE)

    noted = origin.note_received(message)
    again = origin.of_message(json.loads(json.dumps(message)))

    assert again == noted
    assert noted.received_at and noted.received_at > noted.queued_at


def test_a_worker_whose_clock_is_behind_still_receives_after_the_sender_queued() -> None:
    ahead = current.moment() + 5_000_000
    message = {**MESSAGE, origin.HEADER: {"id": "r1", "kind": "ad_hoc", "queued_at": ahead}}

    assert origin.note_received(message).received_at == ahead + 1


@pytest.mark.parametrize(("task", "followed"), [("unit.add", True), ("celery.chord_unlock", False), ("x.y", False)])
def test_tasks_can_be_left_out_by_pattern(settings: Any, task: str, followed: bool) -> None:
    settings.LIVE_IGNORE_TASKS = ["celery.*", "x.[yz]"]

    assert origin.is_followed(task) is followed


def test_a_kind_is_one_of_those_that_were_agreed() -> None:
    assert tuple(events.Kind) == ("scheduled", "ad_hoc", "child")


@pytest.mark.parametrize(
    "link",
    ["//evil.example", "javascript:alert(1)", "https://evil.example/", "/a b", "/\\evil.example", "/" + "x" * 300, 3],
)
def test_a_link_that_is_no_path_of_this_site_is_none(sent: Sent, link: Any) -> None:
    result = tasks.add.apply_async((1, 2), queue=QUEUE, headers={origin.HEADER: {"title": "Import", "link": link}})

    found = sent(result)[origin.HEADER]

    assert (found["title"], found["link"]) == ("Import", "")
