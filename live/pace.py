"""At once after a pause, gathered under load: how both the publish thread and the hub decide when to send."""

from __future__ import annotations

#: Sends that go at once after a pause, before gathering begins.
_BURST = 5


class Pace:
    """Lets a few sends through at once, then one per interval; each interval that passes unused gives one back."""

    def __init__(self) -> None:
        self._credit = float(_BURST)
        self._at = 0.0

    def due(self, now: float, interval_s: float) -> float:
        """Return when the next send may go: `now`, or later. Any clock, as long as it is always the same."""
        self._credit = min(_BURST, self._credit + (now - self._at) / interval_s)
        self._at = now
        return now if self._credit >= 1 else now + (1 - self._credit) * interval_s

    def spend(self) -> None:
        """Note that one was sent."""
        self._credit -= 1
