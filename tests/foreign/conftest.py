"""The shop: a project that knows nothing of tat, copied away from here, with `live` added as the README says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import redis_server
from tests.harness.need import ROOT
from tests.harness.processes import Process, answers
from tests.harness.stack import environment

PROJECT = Path(__file__).parent / "shop_project"
PASSWORD = "only-for-the-shop"


class Readme:
    """The README's section on adding `live`, whose code the shop takes in word by word."""

    def __init__(self) -> None:
        text = (ROOT / "README.md").read_text()
        section = text.split("## Add `live` to your own project", 1)[1].split("\n## ", 1)[0]
        blocks = re.findall(r"```python\n(.*?)```", section, re.S)
        self.settings = next(block for block in blocks if "INSTALLED_APPS" in block)
        self.asgi = next(block for block in blocks if "ProtocolTypeRouter" in block)
        found = re.search(r"`(path\(\"live/\".*?\)\))`", section)
        assert found, "The README no longer says what to put into urls.py."
        self.url = found[1]


class Shop:
    """The shop's processes, and its users `boss` (superuser), `ann` and `bob`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "shop_project"
        shutil.copytree(PROJECT, self.directory, ignore=shutil.ignore_patterns("__pycache__"))
        self.redis = redis_server.start(directory / "redis")
        self.port = redis_server.free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.env = environment(SHOP_REDIS=self.redis.url, DJANGO_SETTINGS_MODULE="shop.settings")
        self.env.pop("SECRET_KEY"), self.env.pop("DEBUG")
        self.processes: list[Process] = []

    def add_live(self) -> None:
        """Follow the README: copy the folder, then its four steps."""
        shutil.copytree(ROOT / "live", self.directory / "live", ignore=shutil.ignore_patterns("__pycache__"))
        readme = Readme()
        names = {"yourproject": "shop", "redis://127.0.0.1:6379/0": self.redis.url}
        code = {
            "settings.py": self._read("settings.py") + _rename(_dedent(readme.settings), names),
            "urls.py": self._read("urls.py").replace("urlpatterns = [", f"urlpatterns = [\n    {readme.url},"),
            "asgi.py": 'import os\n\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
            + _rename(_dedent(readme.asgi), names),
        }
        for name, text in code.items():
            (self.directory / "shop" / name).write_text(text)
        self.manage("migrate", "--verbosity=0")

    def add_users(self) -> None:
        """Make the users, as a person does."""
        make = "from django.contrib.auth.models import User; User.objects.create_{}('{}', password='{}')"
        for kind, name in (("superuser", "boss"), ("user", "ann"), ("user", "bob")):
            self.manage("shell", "-c", make.format(kind, name, PASSWORD))

    def start(self) -> None:
        """Start server, worker and beat with their plain commands."""
        python, celery = sys.executable, [sys.executable, "-m", "celery", "-A", "shop"]
        commands = {
            "web": [python, "manage.py", "live_server", "--port", str(self.port)],
            "worker": [*celery, "worker", "-l", "INFO", "-c", "2"],
            "beat": [*celery, "beat", "-l", "INFO"],
        }
        signs = {
            "web": lambda: answers(f"{self.origin}/healthz") or answers(f"{self.origin}/accounts/login/"),
            "worker": lambda: " ready." in self.processes[1].text(),
            "beat": lambda: "beat: Starting" in self.processes[2].text(),
        }
        for name, command in commands.items():
            self.processes.append(Process(name, command, self.env, self.directory, cwd=self.directory))
        for process in self.processes:
            process.wait_for(signs[process.name], "it answers")

    def manage(self, *args: str) -> str:
        """Run the shop's manage.py and return what it printed."""
        command = [sys.executable, "manage.py", *args]
        done = subprocess.run(command, cwd=self.directory, env=self.env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"the shop's manage.py {args} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        """End all of it."""
        for process in self.processes:
            process.ask_to_stop()
        for process in self.processes:
            process.stop(5)
        self.redis.stop()

    def _read(self, name: str) -> str:
        return (self.directory / "shop" / name).read_text()


def _dedent(block: str) -> str:
    return re.sub(r"^   ", "", block, flags=re.M)


def _rename(text: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop with `live`, at work."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    try:
        shop.add_live()
        shop.add_users()
        shop.start()
        yield shop
    finally:
        shop.close()
