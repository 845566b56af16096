"""Fresh databases for the stacks, migrated once, then copied: SQLite files, or in a PostgreSQL (of DATABASE_URL)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.harness.need import ROOT


class Databases:
    """Hands out the addresses of migrated databases; `close` drops those that are in a PostgreSQL."""

    def __init__(self, directory: Path, env: dict[str, str], server: str | None = None) -> None:
        server = os.environ.get("DATABASE_URL", "") if server is None else server
        self.directory = directory
        self.server = server if server.startswith(("postgres", "psql")) else ""
        self._made: list[str] = []
        self._template = self._create("")
        command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        env = {**env, "TAT_VAR_DIR": str(directory), "DATABASE_URL": self._template}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise AssertionError(f"migrate failed:\n{done.stdout}{done.stderr}")

    def fresh(self) -> str:
        """Return the address of a new database with all tables and no rows of ours."""
        return self._create(self._template)

    def close(self) -> None:
        """Drop what was made in the PostgreSQL; the files go with their directory."""
        for name in self._made:
            self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _create(self, template: str) -> str:
        name = f"tat_journey_{uuid.uuid4().hex[:12]}"
        if self.server:
            copied = f' TEMPLATE "{urlsplit(template).path[1:]}"' if template else ""
            self._execute(f'CREATE DATABASE "{name}"{copied}')
            self._made.append(name)
            return urlunsplit(urlsplit(self.server)._replace(path=f"/{name}"))
        path = self.directory / f"{name}.sqlite3"
        if template:
            shutil.copy(template.removeprefix("sqlite:///"), path)
        return f"sqlite:///{path}"

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.server.replace("psql://", "postgres://", 1), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]
