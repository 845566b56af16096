"""System checks `live.E…` and `live.W…`: each names a wrong set-up that has bitten somebody, and what to do."""

from __future__ import annotations


def connect() -> None:
    """Register the checks with Django; called when the app is ready."""
