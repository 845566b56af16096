"""One small Django and Celery project in four variants (`BENCH_VARIANT`): only what is measured differs."""
