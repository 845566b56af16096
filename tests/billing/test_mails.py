"""One e-mail against a real mail server: sent once, tried again, given up, or left to a person."""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from billing.exceptions import MailDecidedError, MailRefusedError
from billing.models import Invoice, Mail
from billing.services import mails
from scripts.redis_server import free_port
from tests.billing.invoices import make_customer, make_invoice
from tests.billing.mail_server import HANG_UP, KEPT, MailServer

pytestmark = pytest.mark.django_db(transaction=True)


def ask(again: bool = False, **fields: Any) -> Mail:
    invoice = fields.pop("invoice", None) or make_invoice(**fields)
    customer = invoice.customer
    return mails.ask("invoice", f"invoice:{invoice.pk}", customer, customer.email, invoice, again=again)[0]


def test_a_mail_arrives_once_with_text_html_and_pdf(mail_server: MailServer) -> None:
    mail = ask()

    sent, wait_s = mails.deliver(mail.pk, run_id="run-1")
    mails.deliver(mail.pk, run_id="run-2")

    [message] = mail_server.messages()
    assert (sent.state, sent.tries, sent.error, sent.run_id, wait_s) == ("sent", 1, "", "run-1", None)
    assert sent.sent_at is not None
    assert message["To"].addresses[0].addr_spec == mail.address
    assert message["Message-ID"] == sent.message_id == f"<billing.{mail.pk}.1@example.com>"
    body = message.get_body(("html",))
    assert body is not None
    assert "2026-00001" in body.get_content()
    [attachment] = message.iter_attachments()
    assert attachment.get_filename() == "Invoice 2026-00001.pdf"
    assert hashlib.sha256(attachment.get_content()).hexdigest() == Invoice.objects.get().pdf_sha256


def test_a_server_that_is_down_is_tried_again_later(settings: Any, mail_server: MailServer) -> None:
    settings.EMAIL_PORT = free_port()
    mail = ask()

    later, wait_s = mails.deliver(mail.pk)

    assert (later.state, later.tries, wait_s) == ("waiting", 1, mails.WAITS_S[0])
    assert "connection refused" in later.error
    settings.EMAIL_PORT = mail_server.port
    assert mails.deliver(mail.pk)[0].state == "sent"
    assert len(mail_server.taken) == 1


def test_waits_grow_and_end_in_a_failure(settings: Any) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "billing.smtp.EmailBackend", "127.0.0.1"
    settings.EMAIL_PORT = free_port()
    mail = ask()

    waits = [mails.deliver(mail.pk)[1] for _ in range(mails.MAX_TRIES)]

    assert waits == [*mails.WAITS_S, None]
    assert sorted(mails.WAITS_S) == list(mails.WAITS_S)
    mail.refresh_from_db()
    assert (mail.state, mail.tries) == ("failed", mails.MAX_TRIES)


def test_a_server_too_slow_before_the_message_is_tried_again(settings: Any, mail_server: MailServer) -> None:
    settings.EMAIL_TIMEOUT = 0.3
    mail_server.is_awake.clear()
    mail = ask()

    later, wait_s = mails.deliver(mail.pk)

    assert (later.state, wait_s) == ("waiting", mails.WAITS_S[0])
    assert "timed out" in later.error
    assert mail_server.taken == []


def test_not_now_is_tried_again_and_then_sent(mail_server: MailServer) -> None:
    mail_server.answers = ["451 Try again later"]
    mail = ask()

    later, wait_s = mails.deliver(mail.pk)

    assert (later.state, wait_s) == ("waiting", mails.WAITS_S[0])
    assert "451 Try again later" in later.error
    sent, _ = mails.deliver(mail.pk)
    assert (sent.state, sent.tries, sent.error) == ("sent", 2, "")
    assert len(mail_server.taken) == 1


def test_a_final_no_is_final(mail_server: MailServer) -> None:
    mail_server.answers = ["554 No spam here"]
    mail = ask()

    failed, wait_s = mails.deliver(mail.pk)

    assert (failed.state, wait_s) == ("failed", None)
    assert "554 No spam here" in failed.error
    mails.deliver(mail.pk)
    assert mail_server.taken == []


@pytest.mark.parametrize(("answer", "state"), [("550 No such mailbox", "failed"), ("450 Mailbox busy", "waiting")])
def test_a_refused_recipient_counts_by_its_code(mail_server: MailServer, answer: str, state: str) -> None:
    mail_server.recipient_answers = [answer]
    mail = ask()

    done, _ = mails.deliver(mail.pk)

    assert done.state == state
    assert answer in done.error


def test_a_connection_that_breaks_after_the_message_leaves_it_to_a_person(mail_server: MailServer) -> None:
    mail_server.answers = [HANG_UP]
    mail = ask()

    unclear, wait_s = mails.deliver(mail.pk, run_id="run-1")

    assert (unclear.state, wait_s) == ("unclear", None)
    mails.deliver(mail.pk, run_id="run-1")
    assert len(mail_server.taken) == 1


def test_no_answer_in_time_after_the_message_leaves_it_to_a_person(settings: Any, mail_server: MailServer) -> None:
    settings.EMAIL_TIMEOUT = 0.5
    is_over = threading.Event()
    mail_server.on_taken = lambda: is_over.wait(20)
    mail = ask()

    unclear, _ = mails.deliver(mail.pk)
    is_over.set()

    assert unclear.state == "unclear"
    assert len(mail_server.taken) == 1


def test_it_is_sending_in_the_database_before_the_server_has_it(mail_server: MailServer) -> None:
    mail = ask()
    seen: list[str] = []

    def look() -> None:
        seen.append(Mail.objects.get(pk=mail.pk).state)
        connection.close()

    mail_server.on_taken = look
    mails.deliver(mail.pk)

    assert seen == ["sending"]


def test_a_redelivered_run_finds_what_it_was_sending_unclear(mail_server: MailServer) -> None:
    mail = ask()
    Mail.objects.filter(pk=mail.pk).update(state="sending", run_id="run-1")

    assert mails.deliver(mail.pk, run_id="run-2")[0].state == "sending"
    assert mails.deliver(mail.pk, run_id="run-1")[0].state == "unclear"
    assert mail_server.taken == []


def test_two_workers_at_once_send_it_once(mail_server: MailServer) -> None:
    mail = ask()
    # Both have found it waiting and made their message before one may go on.
    both_are_there = threading.Barrier(2, timeout=20)
    real = mails.Sender.open

    def meet(self: mails.Sender) -> None:
        real(self)
        both_are_there.wait()

    def work(run_id: str) -> None:
        mails.deliver(mail.pk, run_id=run_id)
        connection.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mails.Sender, "open", meet)
        workers = [threading.Thread(target=work, args=(f"run-{number}",)) for number in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(30)

    mail.refresh_from_db()
    assert (mail.state, mail.tries, len(mail_server.taken)) == ("sent", 1, 1)


def test_who_was_sending_knows_better_than_who_found_it_unclear(mail_server: MailServer) -> None:
    mail = ask()

    def someone_cleans_up() -> None:
        Mail.objects.filter(pk=mail.pk).update(state="unclear")
        connection.close()

    mail_server.on_taken = someone_cleans_up

    assert mails.deliver(mail.pk)[0].state == "sent"


def test_the_same_thing_is_one_mail_unless_a_person_asks_again(mail_server: MailServer) -> None:
    mail = ask()
    assert ask(invoice=mail.invoice) == mail
    assert ask(invoice=mail.invoice, again=True) == mail  # it has not gone out yet

    mails.deliver(mail.pk)
    second = ask(invoice=mail.invoice, again=True)

    assert ask(invoice=mail.invoice) == second
    assert (second.number, second.state) == (2, "waiting")
    mails.deliver(second.pk)
    assert [message["Message-ID"] for message in mail_server.messages()] == [
        f"<billing.{mail.pk}.1@example.com>",
        f"<billing.{second.pk}.2@example.com>",
    ]


@pytest.mark.parametrize("address", ["", "nobody", "a@b.example\nBcc: c@d.example", "\u017fue@example.com", "a@☃.de"])
def test_a_bad_address_is_refused_at_once(address: str) -> None:
    customer = make_customer(email="")

    with pytest.raises(ValidationError):
        mails.ask("statement", "statement:1:2026-10", customer, address)

    assert Mail.objects.count() == 0


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        ("invoice", {"state": Invoice.State.VOID}, "is void"),
        ("reminder", {"state": Invoice.State.VOID}, "is void"),
        ("reminder", {"state": Invoice.State.PAID, "paid": Decimal("238.00")}, "is paid"),
        ("reminder", {"disputed": True}, "is disputed"),
    ],
)
def test_what_is_no_demand_any_more_is_neither_asked_for_nor_sent(
    mail_server: MailServer, kind: str, fields: dict[str, Any], sentence: str
) -> None:
    invoice = make_invoice()
    key, customer = f"{kind}:{invoice.pk}:1", invoice.customer
    mail, _ = mails.ask(kind, key, customer, customer.email, invoice)
    Invoice.objects.filter(pk=invoice.pk).update(**fields)
    invoice.refresh_from_db()

    failed, wait_s = mails.deliver(mail.pk)

    assert (failed.state, wait_s) == ("failed", None)
    assert sentence in failed.error
    assert mail_server.connected == 0
    with pytest.raises(MailRefusedError, match=sentence):
        mails.ask(kind, key, customer, customer.email, invoice, again=True)


def test_a_paid_invoice_and_the_credit_note_of_a_void_one_are_sent(mail_server: MailServer) -> None:
    paid = ask(state=Invoice.State.PAID, paid=Decimal("238.00"))
    note = ask(kind=Invoice.Kind.CREDIT_NOTE, due_on=None, net=Decimal("-1.00"))

    assert [mails.deliver(mail.pk)[0].state for mail in (paid, note)] == ["sent", "sent"]


def test_a_domain_with_an_umlaut_is_sent_to(mail_server: MailServer) -> None:
    mail = ask(customer=make_customer(email="rechnung@müller.de"))

    assert mails.deliver(mail.pk)[0].state == "sent"

    assert mail_server.messages()[0]["To"].addresses[0].addr_spec == "rechnung@xn--mller-kva.de"


def test_an_address_that_no_server_takes_fails_with_a_sentence(mail_server: MailServer) -> None:
    mail = ask()
    Mail.objects.update(address="jürgen@example.com")

    failed, wait_s = mails.deliver(mail.pk)

    assert (failed.state, wait_s) == ("failed", None)
    assert failed.error.startswith("The part before the @ must be")


def test_a_person_decides_on_an_unclear_mail_once(clerk: Any, mail_server: MailServer) -> None:
    out, lost, sent = ask(), ask(), ask()
    Mail.objects.filter(pk__in=[out.pk, lost.pk]).update(state="unclear", tries=3, error="?")

    assert mails.decide(out.pk, clerk, was_sent=True).state == "sent"
    assert mails.decide(lost.pk, clerk, was_sent=False).state == "waiting"

    with pytest.raises(MailDecidedError, match="sent"):
        mails.decide(out.pk, clerk, was_sent=False)
    with pytest.raises(MailDecidedError, match="waiting"):
        mails.decide(sent.pk, clerk, was_sent=True)
    assert mails.deliver(lost.pk)[0].state == "sent"
    assert len(mail_server.taken) == 1


def test_stuck_mails_are_taken_up_once_and_half_sent_ones_are_unclear() -> None:
    fresh, waiting, sending = ask(), ask(), ask()
    long_ago = timezone.now() - mails.STUCK_AFTER - timedelta(seconds=1)
    Mail.objects.filter(pk=waiting.pk).update(changed_at=long_ago)
    Mail.objects.filter(pk=sending.pk).update(changed_at=long_ago, state="sending")

    assert mails.take_up_stuck() == [waiting]
    assert mails.take_up_stuck() == []

    sending.refresh_from_db()
    fresh.refresh_from_db()
    assert (sending.state, fresh.state) == ("unclear", "waiting")


def test_a_backend_that_is_not_ours_works_and_what_it_cannot_tell_is_unclear(
    settings: Any, mail_server: MailServer, mailoutbox: list[Any]
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert mails.deliver(ask().pk)[0].state == "sent"
    assert len(mailoutbox) == 1

    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    mail_server.answers = [KEPT, "451 Later", HANG_UP]
    states = [mails.deliver(ask().pk)[0].state for _ in range(3)]

    assert states == ["sent", "waiting", "unclear"]
