"""Celery's entry points: ids in, one verb called, progress reported."""

from billing.tasks.documents import make_pdf
from billing.tasks.exports import export_ledger
from billing.tasks.imports import import_charges
from billing.tasks.invoice_runs import finish_invoice_run, invoice_run, invoice_run_part
from billing.tasks.mails import email_invoice, email_invoice_run
from billing.tasks.numbers import multiply_two_numbers, sum_two_numbers
from billing.tasks.payments import import_bank_file
from billing.tasks.scheduled import clean_up, mark_overdue, retry_stuck_mails, send_reminders, send_statements

__all__ = [
    "clean_up",
    "email_invoice",
    "email_invoice_run",
    "export_ledger",
    "finish_invoice_run",
    "import_bank_file",
    "import_charges",
    "invoice_run",
    "invoice_run_part",
    "make_pdf",
    "mark_overdue",
    "multiply_two_numbers",
    "retry_stuck_mails",
    "send_reminders",
    "send_statements",
    "sum_two_numbers",
]
