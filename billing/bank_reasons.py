"""Why a line of a bank's file became no payment by itself."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class BankReason(models.TextChoices):
    """What is wrong with a line, or what a person must say about it."""

    # Rejected: the line cannot be read.
    TOO_LONG = "too_long", _("The line is longer than 4,096 bytes.")
    ENCODING = "encoding", _("The line is text neither in UTF-8 nor in Windows-1252.")
    CONTROL = "control", _("The line holds control characters.")
    QUOTES = "quotes", _("A quoted text does not end on this line.")
    COLUMNS = "columns", _("The line does not have the columns that the header names.")
    BOOKING = "booking", _("The bank's id of the booking is longer than 64 characters.")
    DAY = "day", _("The date must be a day that exists, written 2026-01-31 or 31.01.2026.")
    DAY_RANGE = "day_range", _("The date must lie between 1970-01-01 and 2099-12-31.")
    AMOUNT = "amount", _("The amount must be a number with at most two decimals, such as 1234.56 or 1.234,56.")
    AMOUNT_RANGE = "amount_range", _("The amount must not be zero, and at most 10,000,000.00.")
    CURRENCY = "currency", _("The currency must be one that is billed in, such as EUR.")
    # Ignored: the line is good, and no money came in by it.
    OUTGOING = "outgoing", _("Money went out by it.")
    KNOWN = "known", _("The booking was imported before.")
    # Waits for a person.
    UNKNOWN = "unknown", _("Neither the reference nor payer and amount name an open invoice.")
    SEVERAL_NAMED = "several_named", _("The reference names several invoices.")
    NOT_OPEN = "not_open", _("The invoice that the reference names is not open, or in another currency.")
    SEVERAL_FIT = "several_fit", _("Payer and amount fit several open invoices.")
