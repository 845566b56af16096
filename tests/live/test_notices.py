"""Who asked is told by e-mail when their run ends, once, and when all of it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError
from msgspec.structs import replace

from live import notices, queries, recorder, tasks
from live.models import Notice, NoticeDefault, Run
from tests.live.mailbox import Mailbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    """A real mail server, which the settings name."""
    mailbox = Mailbox()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mailbox.port
    yield mailbox
    mailbox.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The notices whose task was sent, as no worker takes them here."""
    taken: list[int] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **_: taken.append(args[0]))
    return taken


@pytest.fixture
def person(clerk: Any) -> Any:
    """The clerk, with an e-mail address."""
    clerk.email = "clerk@example.com"
    clerk.save()
    return clerk


def deliver(user: Any, run_id: str) -> str:
    """Ask, and run the task that tells."""
    notices.ask(user, run_id, f"https://example.com/live/runs/{run_id}/")
    return tasks.tell_ended(Notice.objects.get(run_id=run_id).pk)


def test_nobody_is_told_of_a_run_that_still_runs(person: Any, running_run: Run, sent: list[int]) -> None:
    notices.ask(person, running_run.pk, "https://example.com/")

    assert notices.send_due() == 0
    assert notices.is_asked(person, running_run.pk)


def test_who_asked_is_told_once_of_a_run_that_ended(person: Any, failed_run: Run, sent: list[int]) -> None:
    notices.ask(person, failed_run.pk, "https://example.com/")

    assert (notices.send_due(), notices.send_due()) == (1, 0)
    assert sent == [Notice.objects.get().pk]


def test_a_run_of_many_parts_is_told_of_when_the_last_has_ended(
    person: Any, make_run: Callable[..., Run], sent: list[int]
) -> None:
    whole = make_run("succeeded")
    make_run("succeeded", root=whole.pk, parent=whole.pk)
    last = make_run("running", root=whole.pk, parent=whole.pk)
    notices.ask(person, whole.pk, "https://example.com/")

    assert notices.send_due() == 0
    Run.objects.filter(pk=last.pk).update(state="failed")
    assert notices.send_due() == 1
    assert notices.parts(whole.pk) == {"succeeded": 1, "failed": 1}


def test_what_the_broker_does_not_take_is_due_again(
    person: Any, failed_run: Run, monkeypatch: pytest.MonkeyPatch, sent: list[int]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError("the broker is away")

    notices.ask(person, failed_run.pk, "https://example.com/")
    with monkeypatch.context() as away:
        away.setattr(current_app, "send_task", refuse)
        assert notices.send_due() == 0

    assert notices.send_due() == 1


def test_who_wants_to_be_told_always_is_told_of_what_they_start_from_then_on(
    person: Any, make_run: Callable[..., Run], sent: list[int]
) -> None:
    now = timezone.now()
    make_run("succeeded", queued_at=now - timedelta(minutes=1))
    notices.tell_always(person, "https://example.com", True)
    wanted = make_run("succeeded", queued_at=now + timedelta(seconds=1))
    make_run("succeeded", queued_at=now + timedelta(seconds=1), owner="somebody")
    make_run("succeeded", queued_at=now + timedelta(seconds=1), parent=wanted.pk, root=wanted.pk, kind="child")

    assert notices.send_due() == 1
    assert Notice.objects.get().address == f"https://example.com/live/runs/{wanted.pk}/"
    notices.tell_always(person, "", False)
    make_run("succeeded", queued_at=now + timedelta(seconds=2))
    assert notices.send_due() == 0


def test_the_message_says_what_ended_how_with_a_link(
    person: Any, make_run: Callable[..., Run], mailbox: Mailbox
) -> None:
    run = make_run("failed", title="Import of\r\nBcc: all@example.com <b>march</b>")
    make_run("succeeded", root=run.pk, parent=run.pk)

    assert deliver(person, run.pk) == "clerk@example.com"

    [message] = mailbox.messages
    body = message.get_content()
    assert (message["to"], message["bcc"]) == ("clerk@example.com", None)
    assert message["subject"] == "Import of Bcc: all@example.com <b>march</b>: failed"
    assert "ValueError: no such charge" in body
    assert "Its 1 parts: 1 succeeded" in body
    assert f"https://example.com/live/runs/{run.pk}/" in body


def test_a_message_is_sent_once_though_its_task_runs_twice(person: Any, failed_run: Run, mailbox: Mailbox) -> None:
    deliver(person, failed_run.pk)

    assert "already" in tasks.tell_ended(Notice.objects.get().pk)
    assert len(mailbox.messages) == 1


def test_a_refused_message_is_tried_again(person: Any, failed_run: Run, mailbox: Mailbox) -> None:
    mailbox.answer = "451 later"

    with pytest.raises(Exception, match="451"):
        deliver(person, failed_run.pk)

    assert Notice.objects.get().told_at is None
    mailbox.answer = "250 OK"
    tasks.tell_ended(Notice.objects.get().pk)
    assert len(mailbox.messages) == 1


@pytest.mark.parametrize(("wish", "asked", "always"), [("once", True, False), ("always", False, True)])
def test_a_wish_is_made_on_the_page_of_a_run_and_taken_back(
    client: Client, person: Any, running_run: Run, wish: str, asked: bool, always: bool
) -> None:
    client.force_login(person)

    response = client.post(f"/live/tell/{running_run.pk}/", {"wish": wish}, follow=True)

    assert (notices.is_asked(person, running_run.pk), notices.is_always_told(person)) == (asked, always)
    assert "Do not tell me" in response.content.decode()
    client.post(f"/live/tell/{running_run.pk}/", {"wish": "not" if asked else "never"})
    assert not notices.is_asked(person, running_run.pk) and not notices.is_always_told(person)


def test_nobody_is_told_of_a_run_of_somebody_else(client: Client, operator: Any, running_run: Run) -> None:
    client.force_login(operator)

    assert client.post(f"/live/tell/{running_run.pk}/", {"wish": "once"}).status_code == 404
    assert "Tell me" not in client.get(f"/live/runs/{running_run.pk}/").content.decode()
    assert not Notice.objects.exists()


def test_a_wish_that_is_none_is_refused(client: Client, person: Any, running_run: Run) -> None:
    client.force_login(person)

    assert client.post(f"/live/tell/{running_run.pk}/", {"wish": "perhaps"}).status_code == 400
    assert client.get(f"/live/tell/{running_run.pk}/").status_code == 405


def test_a_long_run_is_told_of_by_default_too(person: Any, make_run: Callable[..., Run], sent: list[int]) -> None:
    now = timezone.now()
    notices.tell_always(person, "https://example.com", True)
    NoticeDefault.objects.update(since=now - timedelta(hours=9))
    make_run("succeeded", queued_at=now - timedelta(hours=8), finished_at=now)
    make_run("succeeded", queued_at=now - timedelta(hours=8), finished_at=now - timedelta(hours=7))

    assert notices.send_due() == 1


def test_however_many_want_to_be_told_one_look_asks_the_database_as_often(
    person: Any, make_run: Callable[..., Run], sent: list[int], django_assert_num_queries: Any
) -> None:
    users = [person, *(type(person).objects.create_user(f"clerk-{number}") for number in range(9))]
    for user in users:
        notices.tell_always(user, "https://example.com", True)
        make_run("succeeded", queued_at=timezone.now() + timedelta(seconds=1), owner=user.username)

    with django_assert_num_queries(4) as asked:
        notices._ask_by_default()

    told = {(notice.user.username, notice.run_id) for notice in Notice.objects.select_related("user")}
    assert told == {(run.owner, run.pk) for run in Run.objects.all()}
    with django_assert_num_queries(3):
        notices._ask_by_default()
    if connection.vendor == "sqlite":  # PostgreSQL walks so small a table whatever the indexes
        plans = [_plan(query["sql"]) for query in asked.captured_queries if 'FROM "live_run"' in query["sql"]]
        assert ["live_run_ended" in plans[0], "live_run_state" in plans[1]] == [True, True]


def _plan(sql: str) -> str:
    """Return how SQLite goes about a query."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return str(cursor.fetchall())


def test_an_address_that_no_column_holds_keeps_nobody_else_waiting(
    person: Any, make_run: Callable[..., Run], sent: list[int]
) -> None:
    notices.tell_always(person, "https://example.com", True)
    for run_id in ("\N{GRINNING FACE}" * 200, "short"):
        make_run("succeeded", queued_at=timezone.now() + timedelta(seconds=1), id=run_id)

    assert notices.send_due() == 1
    assert Notice.objects.get().run_id == "short"


def test_a_notice_whose_run_goes_on_after_all_is_due_again(
    person: Any, make_run: Callable[..., Run], mailbox: Mailbox, sent: list[int]
) -> None:
    run = make_run("lost")
    notices.ask(person, run.pk, "https://example.com/")
    assert notices.send_due() == 1
    Run.objects.filter(pk=run.pk).update(state="running")

    assert "goes on" in tasks.tell_ended(sent[0])

    assert mailbox.messages == []
    Run.objects.filter(pk=run.pk).update(state="succeeded")
    assert notices.send_due() == 1
    tasks.tell_ended(sent[1])
    assert len(mailbox.messages) == 1


@pytest.mark.parametrize("part_of_it", [False, True], ids=["itself", "a part"])
@pytest.mark.parametrize("now", ["succeeded", "running", "queued"])
def test_who_was_told_that_a_run_is_lost_is_told_of_its_true_end_too(
    person: Any, make_run: Callable[..., Run], mailbox: Mailbox, sent: list[int], part_of_it: bool, now: str
) -> None:
    whole = make_run("succeeded" if part_of_it else "lost")
    run = make_run("lost", root=whole.pk, parent=whole.pk) if part_of_it else whole
    notices.ask(person, whole.pk, "https://example.com/")
    assert notices.send_due() == 1
    tasks.tell_ended(sent[0])
    row = queries.to_row(run)

    recorder.store([replace(row, state=now, version=row.version._replace(moment=row.version.moment + 1))])

    assert notices.send_due() == (1 if now == "succeeded" else 0)
    assert notices.is_asked(person, whole.pk) is (now != "succeeded")
    Run.objects.filter(pk=run.pk).update(state="succeeded")
    notices.send_due()
    tasks.tell_ended(sent[1])
    assert len(mailbox.messages) == 2
    recorder.store([row])
    assert notices.send_due() == 0


def test_a_run_that_was_lost_before_it_had_an_end_is_told_of_by_default_too(
    person: Any, make_run: Callable[..., Run], sent: list[int]
) -> None:
    notices.tell_always(person, "https://example.com", True)
    make_run("lost", queued_at=timezone.now() + timedelta(seconds=1), finished_at=None)

    assert notices.send_due() == 1
