"""The customers of the demo: shops and people of several countries, the same ones each time."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from django.core.exceptions import ValidationError
from faker import Faker

from billing import vat
from billing.models import Customer

SEED = 1950
FIRST_NUMBER = 100_001  # above those of the files that people try first
CUSTOMERS = 320
#: The share of businesses; the others are people, who have no VAT id.
BUSINESSES = 0.7
MAX_TRIES = 20_000
#: Names that a sender's server can look up and that belong to nobody (RFC 2606).
DOMAINS = ("example.com", "example.net", "example.org")


@dataclass(frozen=True)
class Origin:
    """Where customers come from: how many of a hundred, and what they have in common."""

    country: str
    share: int
    locale: str
    language: str
    currency: str
    #: The shape of a VAT id, "#" a digit; "" where there is none.
    vat_id: str


ORIGINS = (
    Origin("DE", 52, "de_DE", "de", "EUR", "DE#########"),
    Origin("AT", 10, "de_AT", "de", "EUR", "ATU########"),
    Origin("CH", 9, "de_CH", "de", "CHF", "CHE#########MWST"),
    Origin("FR", 9, "fr_FR", "en", "EUR", "FR###########"),
    Origin("US", 8, "en_US", "en", "USD", ""),
    Origin("GB", 6, "en_GB", "en", "GBP", "GB#########"),
    Origin("NL", 3, "nl_NL", "en", "EUR", "NL#########B01"),
    Origin("IT", 3, "it_IT", "en", "EUR", "IT###########"),
)


def numbers() -> list[str]:
    """Return the numbers of the demo's customers."""
    return [str(FIRST_NUMBER + index) for index in range(CUSTOMERS)]


def make_customers(now: datetime) -> list[Customer]:
    """Make the customers in memory; the oldest came three years ago."""
    random = Random(SEED)
    fakers = {origin.locale: _faker(origin.locale) for origin in ORIGINS}
    shares = [origin.share for origin in ORIGINS]
    chosen = random.choices(ORIGINS, shares, k=CUSTOMERS)
    days = sorted((random.randrange(250, 1_100) for _ in range(CUSTOMERS)), reverse=True)
    return [
        _customer(FIRST_NUMBER + index, origin, fakers[origin.locale], random, now - timedelta(days=days[index]))
        for index, origin in enumerate(chosen)
    ]


def make_vat_id(shape: str, country: str, random: Random) -> str:
    """Make a VAT id of a shape whose check digits are right."""
    for _ in range(MAX_TRIES):
        text = "".join(random.choice("0123456789") if char == "#" else char for char in shape)
        try:
            return vat.normalise(text, country)
        except ValidationError:
            continue
    raise RuntimeError(f"None of {MAX_TRIES} tries made a VAT id like {shape}.")


def _faker(locale: str) -> Faker:
    faker = Faker(locale)
    faker.seed_instance(SEED)
    return faker


def _customer(number: int, origin: Origin, faker: Faker, random: Random, since: datetime) -> Customer:
    is_business = random.random() < BUSINESSES
    name = faker.company() if is_business else faker.name()
    return Customer(
        number=str(number),
        name=name,
        email=f"{_mailbox(name)}@{random.choice(DOMAINS)}",
        address=faker.address(),
        country=origin.country,
        vat_id=make_vat_id(origin.vat_id, origin.country, random) if is_business and origin.vat_id else "",
        payment_days=random.choice((14, 30, 30, 30, 60)) if is_business else 14,
        language=origin.language,
        currency=origin.currency,
        created_at=since,
    )


def _mailbox(name: str) -> str:
    """Make what stands before the @ of a name: two words of it, in ASCII."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = ["".join(char for char in word if char.isalnum()) for word in plain.split()]
    return ".".join([word for word in words if word][:2]) or "post"
