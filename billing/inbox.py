"""What the mail sink of ./run caught: one file a message, the newest ones only."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple

MAX_MESSAGES = 1_000
MAX_TOTAL_BYTES = 200_000_000
MAX_MESSAGE_BYTES = 10_000_000
NAME = re.compile(r"\d{20}-[0-9a-f]{8}\.eml")


class Header(NamedTuple):
    """What a list shows of a message."""

    name: str
    sender: str
    to: str
    subject: str
    date: Any


class Attachment(NamedTuple):
    """One file in a message."""

    number: int
    filename: str
    content_type: str
    content: bytes


def keep(directory: Path, content: bytes) -> Path:
    """Write a message, whole or not at all, and remove the oldest ones above the limits."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{time.time_ns():020d}-{secrets.token_hex(4)}.eml"
    part = path.with_suffix(".part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    _prune(directory)
    return path


def names(directory: Path) -> list[str]:
    """Return the names of all messages, the newest first."""
    try:
        return sorted((name for name in os.listdir(directory) if NAME.fullmatch(name)), reverse=True)
    except FileNotFoundError:
        return []


def header(directory: Path, name: str) -> Header:
    """Return what the list shows of a message; one that was just removed is empty."""
    try:
        with open(directory / name, "rb") as file:
            message = BytesHeaderParser(policy=policy.default).parse(file)
    except FileNotFoundError:
        message = EmailMessage()
    return header_of(name, message)


def header_of(name: str, message: Any) -> Header:
    """Return what is shown of a message's header."""
    try:
        date = parsedate_to_datetime(text_of(message, "Date"))
    except ValueError:
        date = None
    return Header(name, text_of(message, "From"), text_of(message, "To"), text_of(message, "Subject"), date)


def text_of(message: Any, header_name: str) -> str:
    """Return a header as text, "" if there is none or Python's parser cannot read it."""
    try:
        return str(message.get(header_name, ""))
    except (AttributeError, IndexError, LookupError, TypeError, ValueError):  # hostile headers
        return ""


def read(directory: Path, name: str) -> EmailMessage:
    """Return a message. Raises FileNotFoundError, also for what is no name of a message."""
    if not NAME.fullmatch(name):
        raise FileNotFoundError(name)
    message = BytesParser(policy=policy.default).parsebytes((directory / name).read_bytes())
    assert isinstance(message, EmailMessage)
    return message


def body(message: EmailMessage, kind: str) -> str:
    """Return the `plain` or `html` body, "" if there is none."""
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError):  # an unknown charset
        return bytes(part.get_payload(decode=True) or b"").decode(errors="replace")


def attachments(message: EmailMessage) -> Iterator[Attachment]:
    """Yield the attached files."""
    for number, part in enumerate(message.iter_attachments()):
        content = part.get_payload(decode=True)
        yield Attachment(
            number,
            part.get_filename() or f"part-{number}",
            part.get_content_type(),
            content if isinstance(content, bytes) else part.as_bytes(),
        )


def _prune(directory: Path) -> None:
    kept = 0
    for index, name in enumerate(names(directory)):
        path = directory / name
        try:
            kept += path.stat().st_size
            if index >= MAX_MESSAGES or kept > MAX_TOTAL_BYTES:
                path.unlink()
        except FileNotFoundError:
            continue
