"""The Celery app, as Celery's manual for Django does it; `celery -A tat …` finds it here."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tat.settings")

# Workers survive that Redis dies while they hold messages.
TRANSPORT_ALIASES["redis"] = "tat.broker:Transport"

app = Celery("tat")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
