"""Celery's entry points: ids in, one verb called, progress reported."""

from billing.tasks.imports import import_charges
from billing.tasks.numbers import multiply_two_numbers, sum_two_numbers

__all__ = ["import_charges", "multiply_two_numbers", "sum_two_numbers"]
