"""The site's addresses lead to pages that are one site."""

from __future__ import annotations

from django.test import Client


def test_the_admin_bears_the_name_and_the_icon_of_the_site(admin_client: Client) -> None:
    page = admin_client.get("/admin/").content.decode()

    assert "<title>Site administration | tat</title>" in page
    assert 'rel="icon" type="image/svg+xml" href="/static/live/icon.svg"' in page
