"""`manage.py seed_demo`: what a first look at tat needs. Run again, it changes nothing that is there."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

ADMIN = "admin"


class Command(BaseCommand):
    """Makes the superuser `admin`.

    Its password is TAT_ADMIN_PASSWORD, which is also set when the user is there already; without it a random one is
    made for a new user, and kept in `admin-password` in the var directory, which only its owner can read.
    """

    help = "Make the demo's superuser admin, if it is not there."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make or update the superuser."""
        kept = settings.VAR_DIR / "admin-password"
        wanted = os.environ.get("TAT_ADMIN_PASSWORD", "")
        users = get_user_model()._default_manager
        admin = users.filter(username=ADMIN).first()
        if admin is None:
            users.create_superuser(ADMIN, password=wanted or keep_password(kept))
        elif wanted and not admin.check_password(wanted):
            admin.set_password(wanted)
            admin.save(update_fields=["password"])
        if wanted:
            kept.unlink(missing_ok=True)  # it would tell a password that is no longer so


def keep_password(path: Path) -> str:
    """Return the password kept in a file, which is made with a random one if it is missing."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(12) + "\n")
    return path.read_text().strip()
