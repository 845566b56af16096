"""What beat starts by the clock. Entries that are there stay as they are: they belong to who runs the site."""

from django.db import migrations
from django.utils import timezone

#: The company's zone; entries can be changed in the admin.
ZONE = "Europe/Berlin"

#: Name, task, when (crontab: minute, hour, day of month, day of week).
ENTRIES = [
    ("Billing: mark overdue invoices", "billing.mark_overdue", ("10", "0", "*", "*")),
    ("Billing: send reminders", "billing.send_reminders", ("0", "8", "*", "1-5")),
    ("Billing: send monthly statements", "billing.send_statements", ("0", "7", "1", "*")),
    ("Billing: retry stuck e-mails", "billing.retry_stuck_mails", ("*/10", "*", "*", "*")),
    ("Billing: clean up old files", "billing.clean_up", ("30", "3", "*", "0")),
]


def add_entries(apps, schema_editor):
    CrontabSchedule = apps.get_model("django_celery_beat", "CrontabSchedule")
    PeriodicTask = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, task, (minute, hour, day_of_month, day_of_week) in ENTRIES:
        if PeriodicTask.objects.filter(name=name).exists():
            continue
        when = {
            "minute": minute,
            "hour": hour,
            "day_of_month": day_of_month,
            "month_of_year": "*",
            "day_of_week": day_of_week,
            "timezone": ZONE,
        }
        # Not get_or_create: somebody may have made the same crontab twice.
        crontab = CrontabSchedule.objects.filter(**when).first() or CrontabSchedule.objects.create(**when)
        PeriodicTask.objects.create(name=name, task=task, crontab=crontab)
    tell_beat(apps)


def remove_entries(apps, schema_editor):
    """Remove ours, also if their times were changed; crontabs stay, as others may use them."""
    PeriodicTask = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, task, _when in ENTRIES:
        PeriodicTask.objects.filter(name=name, task=task).delete()
    tell_beat(apps)


def tell_beat(apps):
    """What the models' signals do outside migrations: a running beat reads the entries again."""
    changes = apps.get_model("django_celery_beat", "PeriodicTasks")
    changes.objects.update_or_create(ident=1, defaults={"last_update": timezone.now()})


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0003_tax_rates"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(add_entries, remove_entries)]
