"""Django's SMTP backend, which can also tell whether a message may be out although no answer came."""

from __future__ import annotations

import smtplib

from django.core.mail.backends import smtp

#: The server's "go ahead, and end with a dot": what follows is the message itself.
GO_AHEAD = 354


class _Telling(smtplib.SMTP):
    """Knows whether the last thing it sent was a whole or half message without an answer."""

    may_be_out = False

    def getreply(self) -> tuple[int, bytes]:
        reply = super().getreply()
        self.may_be_out = reply[0] == GO_AHEAD
        return reply


class _TellingSSL(_Telling, smtplib.SMTP_SSL):
    """The same over TLS from the start."""


class EmailBackend(smtp.EmailBackend):
    """`may_be_out` is true from the server's go-ahead until its answer."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        """What Django connects with."""
        return _TellingSSL if self.use_ssl else _Telling

    @property
    def may_be_out(self) -> bool:
        """Whether the server may have taken a message without having said so."""
        return getattr(self.connection, "may_be_out", False)
