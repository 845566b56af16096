"""The groups that every database has after `migrate`."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from billing import roles

pytestmark = pytest.mark.django_db


def rights(name: str) -> set[str]:
    return set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))


def test_each_right_that_a_role_names_exists() -> None:
    known = set(Permission.objects.filter(content_type__app_label="billing").values_list("codename", flat=True))

    assert set(roles.MANAGER_RIGHTS) <= known


def test_a_clerk_works_and_a_manager_also_decides() -> None:
    assert rights("clerk") == set(roles.CLERK_RIGHTS)
    assert rights("manager") - rights("clerk") == {"view_chargeimport", "confirm_invoicerun", "void_invoice"}
    assert not [right for right in rights("manager") if right.startswith("delete_")]


def test_an_auditor_sees_everything_and_changes_nothing(auditor: Any) -> None:
    held = auditor.get_all_permissions()

    assert {right for right in held if not right.startswith("billing.view_")} == set()
    assert "billing.view_invoice" in held and "billing.view_payment" in held


def test_a_later_migrate_makes_a_missing_group_and_leaves_changed_ones_alone() -> None:
    Group.objects.get(name="auditor").delete()
    Group.objects.get(name="clerk").permissions.clear()

    call_command("migrate", verbosity=0)

    assert "view_invoice" in rights("auditor")
    assert rights("clerk") == set()
