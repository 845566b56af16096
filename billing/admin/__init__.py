"""Billing's tables in the admin: what services write is shown there, not edited, as sums and states must stay true."""

from billing.admin import charges, customers, exports, invoices, mails, payments

__all__ = ["charges", "customers", "exports", "invoices", "mails", "payments"]
