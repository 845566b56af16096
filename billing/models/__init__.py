"""What billing keeps: rows, and the rules that hold for a row."""

from billing.models.charges import MAX_REJECTED_CHARS, Charge, ChargeImport, RejectedLine
from billing.models.customers import Customer
from billing.models.exports import LedgerExport
from billing.models.invoices import (
    Invoice,
    InvoiceLine,
    InvoiceRun,
    InvoiceRunFailure,
    InvoiceRunPart,
    NumberSequence,
    TaxRate,
)
from billing.models.mails import Mail, Reminder, Statement
from billing.models.payments import BankImport, BankLine, Payment

__all__ = [
    "MAX_REJECTED_CHARS",
    "BankImport",
    "BankLine",
    "Charge",
    "ChargeImport",
    "Customer",
    "Invoice",
    "InvoiceLine",
    "InvoiceRun",
    "InvoiceRunFailure",
    "InvoiceRunPart",
    "LedgerExport",
    "Mail",
    "NumberSequence",
    "Payment",
    "RejectedLine",
    "Reminder",
    "Statement",
    "TaxRate",
]
