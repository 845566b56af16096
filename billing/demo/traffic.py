"""What keeps a dashboard moving: the work of a billing office, at random, through the usual services and tasks."""

from __future__ import annotations

import io
from collections.abc import Callable
from random import Random
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import Exists, OuterRef

from billing import uploads
from billing.company import today
from billing.demo import goods, people
from billing.formats import CSV
from billing.models import Customer, Invoice, Mail
from billing.money import CENT, Money
from billing.services import mails, payments
from billing.services.balances import open_invoices
from billing.tasks.imports import queue_import
from billing.tasks.mails import queue_mail

IMPORT_LINES = (40, 3_000)


class Office:
    """Does one piece of work after the other on behalf of a user; each returns what it did, as a sentence."""

    def __init__(self, user: Any, random: Random) -> None:
        self.user = user
        self.random = random

    def work(self) -> str:
        """Do one piece of work."""
        kinds: list[tuple[int, Callable[[], str]]] = [
            (35, self.charge),
            (20, self.import_file),
            (20, self.receive_payment),
            (20, self.send_invoice),
            (5, self.fail),
        ]
        weights, verbs = [weight for weight, _verb in kinds], [verb for _weight, verb in kinds]
        return self.random.choices(verbs, weights)[0]()

    def charge(self) -> str:
        """Enter a charge of today by hand."""
        customer = self._customer()
        made = goods.make_charge(customer, today(), self.random)
        made.save()
        return f"charge for {customer}: {made}"

    def import_file(self) -> str:
        """Upload a file of purchases, which a worker imports."""
        record = self._upload()
        queue_import(record)
        return f"import of {record}: {record.lines_total} lines"

    def receive_payment(self) -> str:
        """Let a customer pay an open invoice, now and then a part of it."""
        invoice = self._open_invoice()
        if invoice is None:
            return self.charge()
        amount = invoice.open
        if self.random.random() < 0.2 and amount.amount > 1:
            amount = Money((amount.amount / 2).quantize(CENT), amount.currency)
        payments.record(amount, today(), invoice=invoice, reference=f"Invoice {invoice}", user=self.user)
        return f"payment of {amount} for {invoice}"

    def send_invoice(self) -> str:
        """Ask for the e-mail of an open invoice, again if it was sent before; a worker sends it."""
        invoice = self._open_invoice(is_sendable=True)
        if invoice is None:
            return self.import_file()
        mail, _is_new = mails.ask(
            kind=Mail.Kind.INVOICE,
            subject_key=f"invoice:{invoice.pk}",
            customer=invoice.customer,
            address=invoice.customer.email,
            invoice=invoice,
            asked_by=self.user,
            again=True,
        )
        queue_mail(mail)
        return f"e-mail of {invoice} to {mail.address}"

    def fail(self) -> str:
        """Upload a file that somebody deletes before a worker reads it: its run fails."""
        record = self._upload()
        record.file.storage.delete(record.file.name)
        queue_import(record)
        return f"import of {record}, whose file is gone"

    def _upload(self) -> Any:
        # An import is in dollars, and a charge in another currency than its customer's is never billed.
        customers = list(Customer.objects.filter(number__in=people.numbers(), currency=CSV.currency))
        text = io.StringIO("customer_id,date,quantity,amount,description\n")
        text.seek(0, io.SEEK_END)
        for _ in range(self.random.randint(*IMPORT_LINES)):
            charge = goods.make_charge(self.random.choice(customers), today(), self.random)
            text.write(
                f'{charge.customer.number},{charge.day},{charge.quantity},{charge.amount},"{charge.description}"\n'
            )
        name = f"sales-{today():%Y-%m-%d}-{self.random.randrange(10_000):04}.csv"
        inspected = uploads.inspect(SimpleUploadedFile(name, text.getvalue().encode()))
        return uploads.receive(inspected, self.user)[0]

    def _customer(self) -> Customer:
        return Customer.objects.get(number=self.random.choice(people.numbers()))

    def _open_invoice(self, is_sendable: bool = False) -> Invoice | None:
        found = open_invoices().filter(customer__number__in=people.numbers()).select_related("customer")
        if is_sendable:
            on_their_way = Mail.objects.exclude(state__in=(Mail.State.SENT, Mail.State.FAILED))
            found = found.exclude(customer__email="").exclude(Exists(on_their_way.filter(invoice=OuterRef("pk"))))
        count = found.count()
        return found[self.random.randrange(count)] if count else None
