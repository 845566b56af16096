"""Waits for a condition, with a deadline; nothing here sleeps in place of one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

STEP_S = 0.05


class Late(AssertionError):
    """What was waited for did not come in time."""


def until(probe: Callable[[], T], what: str, seconds: float = 20, explain: Callable[[], str] = str) -> T:
    """Call the probe until it gives something true, and return that; raise Late at the deadline.

    `explain` is asked for what there was instead, for the message.
    """
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        if time.monotonic() > deadline:
            raise Late(f"Waited {seconds} s for {what}. {explain()}".rstrip())
        time.sleep(STEP_S)
    return found
