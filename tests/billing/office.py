"""Some rows of every table of billing, written as rows."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from billing.models import (
    BankImport,
    BankLine,
    Customer,
    InvoiceRun,
    InvoiceRunFailure,
    InvoiceRunPart,
    LedgerExport,
    Mail,
    NumberSequence,
    Payment,
    RejectedLine,
    Reminder,
    Statement,
    TaxRate,
)
from tests.billing import trade
from tests.billing.invoices import make_invoice

#: The run that all of them name.
RUN = "0e0e0e0e-run-of-celery"


def fill(user: Any, make_import: Any, count: int) -> None:
    """Store so many rows of each table, each with a customer, an invoice and a run of its own."""
    first = Customer.objects.count()
    for number in range(first, first + count):
        customer = trade.make_customer()
        source = make_import(b"customer_id,date,quantity,amount,description\n%d,20260101,1,1.00,a\n" % number)
        source.run_id = RUN
        source.save()
        RejectedLine.objects.create(source=source, line=2, reason="day", text="x")
        run = InvoiceRun.objects.create(
            period_start=trade.START, period_end=trade.END, cut_off=trade.CUT_OFF, created_by=user, run_id=RUN
        )
        for part in range(2):
            InvoiceRunPart.objects.create(
                invoice_run=run, number=part, first_customer_id=1, last_customer_id=1, customer_count=1, run_id=RUN
            )
        InvoiceRunFailure.objects.create(invoice_run=run, customer=customer, reason="x")
        invoice = make_invoice(customer=customer, invoice_run=run, pdf_run_id=RUN)
        trade.make_charge(customer)
        bank = BankImport.objects.create(name="bank.csv", sha256=str(number), uploaded_by=user, run_id=RUN)
        line = BankLine.objects.create(source=bank, line=1, state="matched", amount=Decimal("1.00"), currency="EUR")
        Payment.objects.create(
            customer=customer, invoice=invoice, bank_line=line, day=date(2026, 3, 1), amount=Decimal("1.00"),
            currency="EUR", entered_by=user,
        )  # fmt: skip
        Mail.objects.create(
            subject_key=f"invoice:{number}", kind="invoice", address="a@example.com", customer=customer,
            invoice=invoice, run_id=RUN,
        )  # fmt: skip
        Reminder.objects.create(invoice=invoice, step=1, made_on=date(2026, 4, 1))
        Statement.objects.create(customer=customer, month=date(2026, 3, 1), made_on=date(2026, 4, 1))
        NumberSequence.objects.create(kind="invoice", year=1900 + number)
        LedgerExport.objects.create(
            format="csv", period_start=trade.START, period_end=trade.END, asked_by=user, run_id=RUN
        )
        TaxRate.objects.create(country="XX", since=date(1900 + number, 1, 1), percent=Decimal("1.00"))
