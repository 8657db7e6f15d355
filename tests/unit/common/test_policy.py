"""Policy checks mean what operators who know OpenStack's files expect."""

from __future__ import annotations

import pytest

from common.auth.policy import Policy, merged
from common.errors import Forbidden, InvalidInput
from tests.unit.common.test_tokens import a_caller

OWN, OTHER = {"project_id": "p1", "user_id": "u1"}, {"project_id": "p2", "user_id": "u2"}


@pytest.mark.parametrize(
    ("check", "target", "allowed"),
    [
        ("@", OTHER, True),
        ("!", OWN, False),
        ("role:member", OTHER, True),
        ("role:admin", OWN, False),
        ("project_id:%(project_id)s", OWN, True),
        ("project_id:%(project_id)s", OTHER, False),
        ("user_id:%(user_id)s", OTHER, False),
        ("user_id:%(missing)s", OWN, False),
        ("role:admin or project_id:%(project_id)s", OWN, True),
        ("role:admin or role:member and project_id:%(project_id)s", OTHER, False),
        ("(role:admin or role:member) and not role:reader", OWN, False),
        ("not role:admin", OTHER, True),
        ("system_scope:all", OWN, False),
        ("rule:project_member_or_admin", OWN, True),
        ("rule:project_member_or_admin", OTHER, False),
    ],
)
def test_a_check_allows(check: str, target: dict[str, str], allowed: bool) -> None:
    assert Policy({"thing": check}).allows("thing", a_caller(), target) is allowed


def test_a_refusal_names_the_rule() -> None:
    with pytest.raises(Forbidden, match="thing:delete"):
        Policy({"thing:delete": "role:admin"}).must("thing:delete", a_caller())


@pytest.mark.parametrize("check", ["", "role:a and", "(role:a", "role", "role:a role:b", "rule:nowhere"])
def test_a_mistake_in_a_check_stops_the_start(check: str) -> None:
    with pytest.raises(InvalidInput):
        Policy({"thing": check})


def test_an_override_of_an_unknown_rule_stops_the_start() -> None:
    with pytest.raises(InvalidInput, match="thnig"):
        Policy({"thing": "@"}, {"thnig": "!"})


def test_an_override_replaces_the_default() -> None:
    assert not Policy({"thing": "@"}, {"thing": "!"}).allows("thing", a_caller())


def test_a_rule_is_declared_once() -> None:
    with pytest.raises(InvalidInput, match="twice"):
        merged({"a": "@"}, {"a": "!"})
