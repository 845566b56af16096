"""The page Inbox: shows what the sink caught, and nothing in it runs, loads or leaves its frame."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from billing import inbox

pytestmark = pytest.mark.django_db

HOSTILE = '<script>window.hacked=1</script><img src="https://evil.example/pixel">'


@pytest.fixture
def directory(settings: Any, tmp_path: Path) -> Path:
    """An empty inbox on a site in DEBUG."""
    settings.DEBUG = True
    settings.BILLING_INBOX_DIR = tmp_path / "inbox"
    return tmp_path / "inbox"


@pytest.fixture
def page(directory: Path, clerk: Any, client: Client) -> Client:
    """The browser of a clerk."""
    client.force_login(clerk)
    return client


def message(subject: str = "Invoice", filename: str = "a.pdf") -> EmailMessage:
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "a@example.com", "b@example.com"
    made["Date"] = "Sun, 01 Feb 2026 08:00:00 +0000"
    made.set_content(f"plain {HOSTILE}")
    made.add_alternative(f"<h1>rich</h1>{HOSTILE}", subtype="html")
    made.add_attachment(b"<script>window.hacked=1</script>", maintype="text", subtype="html", filename=filename)
    return made


def test_the_newest_come_first(page: Client, directory: Path) -> None:
    for subject in ("first", "second"):
        inbox.keep(directory, message(subject).as_bytes())

    text = page.get("/billing/inbox/").text

    assert text.index("second") < text.index("first")
    assert "b@example.com" in text


def test_without_anything_it_says_so(page: Client) -> None:
    assert "No e-mail has arrived yet" in page.get("/billing/inbox/").text


def test_a_hostile_message_is_shown_as_text_and_in_a_frame_that_may_nothing(page: Client, directory: Path) -> None:
    name = inbox.keep(directory, message(subject=HOSTILE, filename="x<script>.html").as_bytes()).name

    listed, shown = page.get("/billing/inbox/").text, page.get(f"/billing/inbox/{name}/").text
    framed = page.get(f"/billing/inbox/{name}/html/")

    for text in (listed, shown):
        assert "<script>window.hacked" not in text
        assert "&lt;script&gt;window.hacked" in text
    assert '<iframe class="mail-html" sandbox title' in shown
    assert "<h1>rich</h1>" in framed.text
    assert framed["Content-Security-Policy"].startswith("sandbox; default-src 'none';")
    assert framed["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.parametrize("part", ["0", "raw"])
def test_attachments_and_the_raw_message_are_downloads(page: Client, directory: Path, part: str) -> None:
    content = message(filename='ä"\r\nX-Evil: 1.html').as_bytes()
    name = inbox.keep(directory, content).name

    answer = page.get(f"/billing/inbox/{name}/{part}/")

    assert answer["Content-Disposition"].startswith("attachment;")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "X-Evil" not in answer
    assert answer.content == {"0": b"<script>window.hacked=1</script>", "raw": content}[part]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: =?utf-8?b?!!!?=\nFrom: <<<>>>\nTo: @\nDate: never\n\nx",
        b"Content-Type: text/html; charset=nonsense\n\n<p>x\xff",
        b"Content-Type: multipart/mixed; boundary=\n\n--\n",
        b"Subject: a\nTo: \"\nContent-Disposition: attachment; filename*=utf-8''%ff%00\n\nx",
        b"From: [<\nTo: (((\nMessage-ID: [\nContent-Type: ;;;\n\n",
    ],
)
def test_a_broken_message_breaks_no_page(page: Client, directory: Path, content: bytes) -> None:
    name = inbox.keep(directory, content).name

    for address in ("", f"{name}/", f"{name}/html/", f"{name}/raw/"):
        assert page.get(f"/billing/inbox/{address}").status_code == 200


@pytest.mark.parametrize("name", ["..%2f..%2fdb.sqlite3", "x.eml", "00000000000000000000-00000000.eml"])
def test_what_is_no_message_is_not_there(page: Client, directory: Path, name: str) -> None:
    inbox.keep(directory, b"x")

    for part in ("", "html/", "raw/", "0/"):
        assert page.get(f"/billing/inbox/{name}/{part}").status_code == 404


def test_outside_debug_there_is_no_inbox(page: Client, directory: Path, settings: Any) -> None:
    name = inbox.keep(directory, message().as_bytes()).name
    settings.DEBUG = False

    for address in ("", f"{name}/", f"{name}/html/", f"{name}/raw/", f"{name}/0/"):
        assert page.get(f"/billing/inbox/{address}").status_code == 404


def test_one_needs_the_right_to_see_mails(directory: Path, client: Client, django_user_model: Any) -> None:
    client.force_login(django_user_model.objects.create_user("nobody"))

    answer = client.get("/billing/inbox/")

    assert answer.status_code == 403
    assert "view_mail" in answer.text


def test_only_the_newest_are_kept_by_number_and_by_size(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_MESSAGES", 3)
    kept = [inbox.keep(directory, b"x" * 10).name for _ in range(5)]
    assert inbox.names(directory) == kept[:1:-1]

    monkeypatch.setattr(inbox, "MAX_TOTAL_BYTES", 25)
    newest = inbox.keep(directory, b"x" * 10).name
    assert inbox.names(directory) == [newest, kept[-1]]
