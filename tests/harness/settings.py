"""The project's own settings, with what a journey asks for (`make_stack(…, LIVE_LEASE_S=2)`) put over them."""

import json

from tat.settings import *  # noqa: F403
from tat.settings import CELERY_BROKER_TRANSPORT_OPTIONS, env

CELERY_BROKER_TRANSPORT_OPTIONS = {
    **CELERY_BROKER_TRANSPORT_OPTIONS,
    # What a killed worker had taken comes back after this; the project's 900 s are held against its time limits.
    "visibility_timeout": env.int("JOURNEY_VISIBILITY_S", default=900),  # seconds
    "unacked_restore_interval": 1,  # seconds
}
CELERY_BEAT_SCHEDULE = {
    "every second": {"task": "multiply_two_numbers", "schedule": 1.0, "args": (16, 16)},
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SILENCED_SYSTEM_CHECKS = ["live.E003"]

globals().update(json.loads(env.str("JOURNEY_SETTINGS", default="{}")))
