"""Beat's scheduler: entries live in the database, and the ones in settings are seeds, not orders."""

from typing import Any

from django.db.models import Q
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry


class Entry(ModelEntry):
    """One entry as beat holds it, which leaves alone what a person may be changing at this moment."""

    def save(self) -> None:
        """Called after each run: write when it was, in one statement.

        The stock entry reads the whole record and writes all of it back, and so undoes a change that was saved between.
        """
        known = PeriodicTask.objects.filter(pk=self.model.pk, enabled=True)
        known.update(last_run_at=self.model.last_run_at, total_run_count=self.model.total_run_count)


class SeedingDatabaseScheduler(DatabaseScheduler):
    """Adds an entry of `app.conf.beat_schedule` once; what a person changed or paused since then stays.

    The stock scheduler writes the settings' entries over the database's at each start of beat.
    """

    Entry = Entry

    def update_from_dict(self, mapping: dict[str, Any]) -> None:
        """Called by beat at its start with the entries from settings, and with Celery's own."""
        known = set(PeriodicTask.objects.filter(name__in=mapping).values_list("name", flat=True))
        super().update_from_dict({name: entry for name, entry in mapping.items() if name not in known})

    def _get_crontab_exclude_query(self) -> Q:
        """Hold crontabs of all hours.

        The stock scheduler holds those within two hours of now only, so that a daily or monthly run that fell into a
        longer pause of beat is left out, and not made up for when beat is back.
        """
        return Q(pk__in=[])
