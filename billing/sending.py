"""One e-mail to a mail server, and what its answer means: sent, later, never, or nobody knows."""

from __future__ import annotations

import smtplib
from enum import Enum
from typing import Any, NamedTuple

from django.core.mail import EmailMessage, get_connection
from django.utils.translation import gettext as _

#: SMTP: from here on "no, and do not try again"; below it, "not now".
FINAL_FROM = 500


class Answer(Enum):
    """What became of a message."""

    SENT = "sent"
    LATER = "later"
    NEVER = "never"
    UNKNOWN = "unknown"


class Outcome(NamedTuple):
    """What became of a message, and in words why."""

    answer: Answer
    error: str = ""


class Sender:
    """A connection of Django's mail backend; opened first, since what fails there never reached a server."""

    def __init__(self) -> None:
        self.connection: Any = get_connection()

    def open(self) -> None:
        """Connect and log in. Raises OSError, also for what a mail server refuses (smtplib's errors are OSErrors)."""
        self.connection.open()

    def close(self) -> None:
        """Say goodbye."""
        try:
            self.connection.close()
        except OSError:  # it is gone already
            self.connection.connection = None

    def send(self, message: EmailMessage) -> Outcome:
        """Hand over one message."""
        try:
            count = self.connection.send_messages([message])
        except Exception as error:  # a backend may raise anything, and each has a meaning here
            return self._meaning(error)
        if count == 0:
            return Outcome(Answer.NEVER, _("The mail backend sent nothing."))
        return Outcome(Answer.SENT)

    def _meaning(self, error: Exception) -> Outcome:
        text = describe(error)
        code = code_of(error)
        if code:
            return Outcome(Answer.NEVER if code >= FINAL_FROM else Answer.LATER, text)
        if isinstance(error, (ValueError, smtplib.SMTPNotSupportedError)):  # a bad header or address
            return Outcome(Answer.NEVER, text)
        # Only a backend that knows it can say that nothing is out.
        may_be_out = getattr(self.connection, "may_be_out", True)
        return Outcome(Answer.UNKNOWN if may_be_out else Answer.LATER, text)


def code_of(error: Exception) -> int:
    """Return the server's code, 0 when it did not answer; of several recipients the best."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return min((code for code, _text in error.recipients.values()), default=FINAL_FROM)
    code = getattr(error, "smtp_code", 0)
    return code if code > 0 else 0


def describe(error: Exception) -> str:
    """Return what happened, for a person."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = [_text_of(code, text) for code, text in error.recipients.values()]
        return _("The mail server refused the address: %(answer)s") % {"answer": "; ".join(answers)}
    if isinstance(error, smtplib.SMTPResponseException):
        answer = _text_of(error.smtp_code, error.smtp_error)
        return _("The mail server answered: %(answer)s") % {"answer": answer}
    if isinstance(error, TimeoutError):
        return _("The mail server did not answer in time.")
    if isinstance(error, ConnectionRefusedError):
        return _("The mail server cannot be reached: connection refused.")
    return f"{type(error).__name__}: {error}"


def _text_of(code: int, text: bytes | str) -> str:
    return f"{code} {text.decode(errors='replace') if isinstance(text, bytes) else text}"
