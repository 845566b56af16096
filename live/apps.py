"""`live` as a Django app: put it into INSTALLED_APPS and every Celery task is followed."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LiveConfig(AppConfig):
    """Connects the tracking to Celery's signals in every process that loads Django."""

    name = "live"
    verbose_name = _("Live task status")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Called once per process, when all apps are loaded."""
        from django.core.signals import request_started

        from live import checks, progress, publish, recorder, tracking

        publish.prepare()
        tracking.connect()
        progress.connect()
        checks.connect()
        # Also under a server that is not ours: the first request starts it.
        request_started.connect(recorder.start_thread, weak=False, dispatch_uid="live.start_recorder")
