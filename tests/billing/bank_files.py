"""A bank's files for tests, made of lines."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from billing.models import BankImport
from billing.services import bank

HEADER = "booking_id,date,amount,currency,payer,reference"


def content(*lines: str, header: str = HEADER, encoding: str = "utf-8") -> bytes:
    """Return a file of these lines below the header."""
    return "\n".join([header, *lines]).encode(encoding) + b"\n"


def receive(data: bytes, user: Any, name: str = "march.csv") -> BankImport:
    """Store a file as an upload does."""
    file = SimpleUploadedFile(name, data)
    return bank.receive(file, bank.check(file), user)[0]


def bring(user: Any, *lines: str) -> BankImport:
    """Store a file of these lines, and run its import to the end."""
    record = receive(content(*lines), user)
    bank.run_import(record.pk)
    record.refresh_from_db()
    return record
