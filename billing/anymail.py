"""What a mail service tells later, by django-anymail where a site has it: delivered, bounced, or complained about."""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from billing.models import Mail

logger = logging.getLogger(__name__)

#: The name under which a message carries its mail's id; the service gives it back with each event.
KEY = "mail"
Delivery = Mail.Delivery
DELIVERIES = {
    "delivered": Delivery.DELIVERED,
    "bounced": Delivery.BOUNCED,
    "rejected": Delivery.BOUNCED,
    "complained": Delivery.COMPLAINED,
}
#: What is worse is not overwritten by what is better: events come in any order.
_RANKS = [Delivery.NONE, Delivery.DELIVERED, Delivery.BOUNCED, Delivery.COMPLAINED]


def connect() -> None:
    """Listen to django-anymail's events if it is installed; called once by `ready`."""
    if find_spec("anymail"):
        import_module("anymail.signals").tracking.connect(note_event, dispatch_uid="billing.anymail")


def note_event(sender: Any, event: Any, **kwargs: Any) -> None:
    """Note what became of a mail; events about other messages are none of ours."""
    delivery = DELIVERIES.get(event.event_type)
    mail_id = str((event.metadata or {}).get(KEY, ""))
    if delivery is None or not mail_id.isdecimal():
        return
    better = _RANKS[: _RANKS.index(delivery)]
    mine = Mail.objects.filter(pk=int(mail_id), delivery__in=better)
    fields = {"error": str(event.description)[:500]} if event.description and delivery != Delivery.DELIVERED else {}
    if mine.update(delivery=delivery, **fields):
        extra = {"action": "mail_delivery", "mail": int(mail_id)}
        logger.info("E-mail %s is %s.", mail_id, delivery, extra=extra)
