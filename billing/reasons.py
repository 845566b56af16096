"""Why a line of an imported file was not billed: each reason says what was expected."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Reason(models.TextChoices):
    """What is wrong with a line; the line itself shows what came."""

    TOO_LONG = "too_long", _("The line is longer than 4,096 bytes.")
    ENCODING = "encoding", _("The line is not UTF-8 text.")
    CONTROL = "control", _("The line holds control characters.")
    QUOTES = "quotes", _("A quoted text does not end on this line.")
    COLUMNS = "columns", _("The line does not have the columns that the header names.")
    CUSTOMER = "customer", _("The customer number must be 1 to 32 letters, digits or . _ - /")
    DAY = "day", _("The date must be a day that exists, written 19970131 or 1997-01-31.")
    DAY_RANGE = "day_range", _("The date must lie between 1970-01-01 and 2099-12-31.")
    QUANTITY = "quantity", _("The quantity must be a whole number such as 3.")
    QUANTITY_RANGE = "quantity_range", _("The quantity must lie between 1 and 1,000,000.")
    AMOUNT = "amount", _("The amount must be a number with at most two decimals, such as 11.77.")
    AMOUNT_RANGE = "amount_range", _("The amount must lie between 0.00 and 1,000,000.00.")
    DESCRIPTION = "description", _("The description is longer than 255 characters.")
