"""Live task status for Django and Celery. What other apps use of it: `progress` and `headers`."""
