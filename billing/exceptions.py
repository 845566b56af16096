"""What can go wrong, each with a sentence for the person who reads of it."""

from billing.bank_reasons import BankReason
from billing.reasons import Reason


class BadLineError(ValueError):
    """This line is no purchase; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.label)
        self.reason = reason


class BadBankLineError(ValueError):
    """This line is no booking; `reason` says why."""

    def __init__(self, reason: BankReason) -> None:
        super().__init__(reason.label)
        self.reason = reason


class ImportStuckError(RuntimeError):
    """Attempt after attempt ended at the same place of the file."""


class IssuedInvoiceError(Exception):
    """An issued invoice never changes; a credit note takes it back."""


class PaymentRefusedError(Exception):
    """This payment cannot be kept as it is; the message says why."""


class BankLineDecidedError(Exception):
    """Somebody decided on this bank line before."""


class CannotBillError(Exception):
    """This customer cannot be billed; the message says what is missing."""


class NotVoidableError(Exception):
    """Only an issued invoice that is not void yet can be taken back by a credit note."""


class NotADraftError(Exception):
    """Only a draft is issued, and only once."""


class RunNotConfirmableError(Exception):
    """An invoice run begins once, and only when there is something to bill."""


class DocumentError(Exception):
    """The PDF could not be made or stored; the message says why."""


class MailRefusedError(Exception):
    """No e-mail of this kind goes out for this invoice; the message says why."""


class MailNotSentError(Exception):
    """This e-mail did not go out, and no further try is made; the message says why."""


class MailUnclearError(Exception):
    """This e-mail may be out; a person decides on its page."""


class MailDecidedError(Exception):
    """This e-mail is not unclear, so there is nothing to decide."""
