"""Who bills: the company's own data, which the setting BILLING_COMPANY changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone


@dataclass(frozen=True)
class Company:
    """The company as its invoices show it; a field's default is what BILLING_COMPANY leaves out."""

    name: str = "Nordlicht Tonträger GmbH"
    #: Street and town, in lines.
    address: str = "Speicherstraße 12\n20457 Hamburg"
    country: str = "DE"
    vat_id: str = "DE136695976"
    iban: str = "DE89370400440532013000"
    email: str = "billing@example.com"
    #: What "today" means on invoices, reminders and statements.
    time_zone: str = "Europe/Berlin"
    currency: str = "EUR"

    def as_seller(self) -> dict[str, str]:
        """Return what an invoice keeps of it."""
        kept = ("name", "address", "country", "vat_id", "iban", "email")
        return {name: value for name, value in asdict(self).items() if name in kept}


def company() -> Company:
    """Return the company that bills. Raises ImproperlyConfigured for a setting that it does not have."""
    given: dict[str, Any] = getattr(settings, "BILLING_COMPANY", {})
    try:
        return Company(**given)
    except TypeError as error:
        known = ", ".join(Company.__dataclass_fields__)
        raise ImproperlyConfigured(f"BILLING_COMPANY takes {known}; given are {', '.join(given)}.") from error


def today() -> date:
    """Return the day that it is where the company is."""
    return timezone.localdate(timezone=ZoneInfo(company().time_zone))
