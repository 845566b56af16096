"""Django's settings of the measured project. The variants differ in `live`, in the recipe, and in nothing else."""

import os
from pathlib import Path

#: "bare", "live", "recipe" or "events".
VARIANT = os.environ["BENCH_VARIANT"]
REDIS_URL = os.environ["BENCH_REDIS_URL"]
DIR = Path(os.environ["BENCH_DIR"])

DEBUG = False
SECRET_KEY = "only-for-benchmarks-only-for-benchmarks-only-for-benchmarks"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
ROOT_URLCONF = "bench.apps.urls"
ASGI_APPLICATION = "bench.apps.asgi.application"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "channels",
    *(["live"] if VARIANT == "live" else []),
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    *(["live.middleware.OwnerMiddleware"] if VARIANT == "live" else []),
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DIR / f"{VARIANT}.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,  # seconds
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": f"{VARIANT}:layer:"},
    }
}

CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": f"{VARIANT}:"}
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True

LIVE_REDIS_URL = REDIS_URL
LOGGING = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}
