"""The Celery app, as Celery's manual for Django does it; `celery -A tat …` finds it here."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tat.settings")

app = Celery("tat")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
