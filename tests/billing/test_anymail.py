"""What a mail service says later reaches the e-mail, in whatever order it comes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from billing import anymail, mail_texts
from billing.models import Mail
from billing.services import documents, mails
from tests.billing.invoices import make_invoice

pytestmark = pytest.mark.django_db


@pytest.fixture
def mail() -> Mail:
    """An invoice's mail."""
    invoice = documents.store_pdf(make_invoice().pk)
    return mails.ask("invoice", f"invoice:{invoice.pk}", invoice.customer, "a@example.com", invoice)[0]


def say(event_type: str, metadata: Any, description: str = "") -> None:
    anymail.note_event(None, SimpleNamespace(event_type=event_type, metadata=metadata, description=description))


def test_a_message_carries_what_its_events_bring_back(mail: Mail) -> None:
    metadata = mail_texts.compose(mail).metadata  # type: ignore[attr-defined]

    say("delivered", metadata)

    mail.refresh_from_db()
    assert mail.delivery == "delivered"


def test_a_late_delivered_does_not_hide_a_bounce(mail: Mail) -> None:
    for event_type in ("bounced", "delivered"):
        say(event_type, {"mail": str(mail.pk)}, "mailbox full" if event_type == "bounced" else "")

    mail.refresh_from_db()
    assert (mail.delivery, mail.error) == ("bounced", "mailbox full")


@pytest.mark.parametrize("metadata", [None, {}, {"mail": "x"}, {"mail": "999999"}, {"other": 1}])
def test_events_of_other_messages_change_nothing(mail: Mail, metadata: Any) -> None:
    say("bounced", metadata)
    say("opened", {"mail": mail.pk})

    mail.refresh_from_db()
    assert mail.delivery == ""
