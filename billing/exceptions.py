"""What can go wrong with a line, and with an import."""

from billing.reasons import Reason


class BadLineError(ValueError):
    """This line is no purchase; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.label)
        self.reason = reason


class ImportStuckError(RuntimeError):
    """Attempt after attempt ended at the same place of the file."""


class IssuedInvoiceError(Exception):
    """An issued invoice never changes; a credit note takes it back."""
