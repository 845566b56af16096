"""The tasks of Celery's own tutorial."""

from __future__ import annotations

from celery import shared_task


@shared_task(name="sum_two_numbers")
def sum_two_numbers(x: int, y: int) -> int:
    """Add two numbers."""
    return x + y


@shared_task(name="multiply_two_numbers")
def multiply_two_numbers(x: int, y: int) -> int:
    """Multiply two numbers."""
    return x * y
