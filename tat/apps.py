"""The frame as a Django app, for its management commands."""

from django.apps import AppConfig


class TatConfig(AppConfig):
    """Holds `manage.py redis` and the like; no models."""

    name = "tat"
