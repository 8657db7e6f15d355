"""Users: what may be said of them, how they change, and what ends with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from common.db.types import utc_now
from services.identity.db.delegation_tables import AccessRule, ApplicationCredential, Credential, CredentialRule, Trust
from services.identity.db.tables import Membership, User
from tests.unit.identity.worlds import World, a_project, a_user, scope_to, with_settings


def change(world: World, user_id: str, **fields: object) -> Any:
    return world.http.patch(f"/v3/users/{user_id}", headers=world.as_(), json={"user": fields})


def message(answer: Any) -> str:
    return str(answer.json()["error"]["message"])


def test_a_change_keeps_what_it_does_not_name(world: World) -> None:
    project = a_project(world, "home")
    user = a_user(world, "ann", email="a@example.org", description="first", default_project_id=project)

    answer = change(world, user, name=" anna ", email="b@example.org", phone=None)

    shown = answer.json()["user"]
    assert answer.status_code == 200 and shown == world.get(f"/v3/users/{user}", world.as_())["user"]
    assert (shown["name"], shown["email"], shown["description"], shown["phone"]) == (
        "anna",
        "b@example.org",
        "first",
        None,
    )
    assert shown["default_project_id"] == project and shown["enabled"] is True
    assert "default_project_id" not in change(world, user, default_project_id=None).json()["user"]
    assert world.log_in("anna", "ann-secret").status_code == 201


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({}, 400, "should be non-empty"),
        ({"id": "other"}, 400, "Cannot change user ID"),
        ({"domain_id": "other"}, 400, "Cannot change Domain ID"),
        ({"name": " "}, 400, "does not match"),
        ({"name": "n" * 256}, 400, "too long"),
        ({"name": "admin"}, 409, "Duplicate entry found with name admin at domain ID default."),
        ({"enabled": "no"}, 400, "is not of type 'boolean'"),
        ({"password": ""}, 400, "empty or too long"),
        ({"password": "x" * 1_000_000}, 400, "empty or too long"),
        ({"default_project_id": "default"}, 400, "User's default project ID cannot be a domain ID: default"),
        ({"federated": [{"idp_id": "corp", "protocols": []}]}, 400, "Could not find Identity Provider: corp."),
        ({"options": {"lock_pasword": True}}, 400, "'lock_pasword' was unexpected"),
        ({"options": {"lock_password": "yes"}}, 400, "is not of type 'boolean'"),
        ({"options": {"multi_factor_auth_rules": [["password", "password"]]}}, 400, "non-unique"),
        ({"options": {"multi_factor_auth_rules": [["totp"], ["totp"]]}}, 400, "non-unique"),
        ({"options": {"multi_factor_auth_rules": [[]]}}, 400, "too short"),
        ({"options": {"multi_factor_auth_rules": "password"}}, 400, "is not of type 'array'"),
    ],
)
def test_a_change_that_cannot_be_is_refused(world: World, fields: dict[str, object], status: int, said: str) -> None:
    answer = change(world, a_user(world, "ann"), **fields)

    assert answer.status_code == status and said in message(answer)


def test_a_change_of_nobody_is_not_found(world: World) -> None:
    answer = change(world, "none", name="x")

    assert answer.status_code == 404 and message(answer) == "Could not find user: none."


def test_options_are_laid_over_each_other_and_null_takes_one_away(world: World) -> None:
    rules = [["password", "totp"], ["password", "custom"]]
    user = a_user(world, "ann", options={"lock_password": True, "multi_factor_auth_rules": rules})

    more = change(world, user, options={"ignore_password_expiry": True}).json()["user"]["options"]
    less = change(world, user, options={"lock_password": None}).json()["user"]["options"]

    assert more == {"lock_password": True, "ignore_password_expiry": True, "multi_factor_auth_rules": rules}
    assert less == {"ignore_password_expiry": True, "multi_factor_auth_rules": rules}


def test_the_id_is_ours_whatever_a_client_wishes(world: World) -> None:
    user = a_user(world, "ann", id="mine", password=None)

    assert user != "mine" and len(user) == 32
    assert world.log_in("ann", "ann-secret").status_code == 401


@pytest.mark.parametrize("fields", [{"enabled": False}, {"password": "another"}, {"password": None}])
def test_tokens_end_when_the_user_is_disabled_or_gets_another_password(world: World, fields: dict[str, object]) -> None:
    user, token = world.id_of("users", "demo"), world.token("demo")

    change(world, user, **fields)

    assert world.http.get("/v3/auth/projects", headers={"x-auth-token": token}).status_code == 401
    assert world.log_in("demo", "demo-secret").status_code == 401


def test_tokens_outlive_a_change_of_the_name(world: World) -> None:
    user, token = world.id_of("users", "demo"), world.token("demo")

    change(world, user, name="demo2", enabled=True)

    assert world.validate(token).json()["token"]["user"]["name"] == "demo2"


def test_who_is_enabled_again_may_log_in_at_once(world: World) -> None:
    user = world.id_of("users", "demo")
    for _ in range(world.kit.settings.lockout_after + 2):
        world.log_in("demo", "wrong")

    change(world, user, enabled=False)
    change(world, user, enabled=True)

    assert world.log_in("demo", "demo-secret").status_code == 201


def test_deleting_a_user_leaves_nothing_that_acts_in_its_name(world: World) -> None:
    user, other, project = a_user(world, "ann"), world.id_of("users", "demo"), world.id_of("projects", "demo")
    with world.kit.database.transaction() as session:
        session.add_all(belongings(user, other, project))

    answer = world.http.delete(f"/v3/users/{user}", headers=world.as_())

    assert answer.status_code == 204
    with world.kit.database.reading() as session:
        for table in (Membership, Credential, ApplicationCredential, AccessRule, CredentialRule):
            assert session.scalars(select(table)).all() == []
        assert all(one.deleted_at for one in session.scalars(select(Trust)))


def belongings(user: str, other: str, project: str) -> list[Any]:
    now = utc_now()
    common: dict[str, Any] = {"project_id": project, "role_ids": [], "created_at": now}
    trust: dict[str, Any] = common | {"impersonation": True, "redelegation_count": 0, "extra": {}}
    return [
        Credential(id="c", user_id=user, type="x", sealed="", extra={}),
        ApplicationCredential(id="a", name="a", secret_hash="", user_id=user, unrestricted=False, **common),
        AccessRule(id="r", user_id=user, service="compute", path="/v2.1/servers", method="GET"),
        CredentialRule(credential_id="a", rule_id="r"),
        Trust(id="t1", trustor_user_id=user, trustee_user_id=other, **trust),
        Trust(id="t2", trustor_user_id=other, trustee_user_id=user, **trust),
    ]


def test_a_manager_of_a_domain_keeps_its_users_and_no_others(world: World) -> None:
    boss, role = a_user(world, "boss"), world.id_of("roles", "manager")
    world.http.put(f"/v3/domains/default/users/{boss}/roles/{role}", headers=world.as_())
    manager = world.as_("boss", {"domain": {"id": "default"}})

    made = world.http.post("/v3/users", headers=manager, json={"user": {"name": "new"}})
    user = made.json()["user"]["id"]
    elsewhere = world.http.post("/v3/users", headers=manager, json={"user": {"name": "x", "domain_id": "other"}})
    changed = world.http.patch(f"/v3/users/{user}", headers=manager, json={"user": {"enabled": False}})
    gone = world.http.delete(f"/v3/users/{user}", headers=manager)
    nobody = world.http.delete("/v3/users/none", headers=manager)

    statuses = [one.status_code for one in (made, elsewhere, changed, gone, nobody)]
    assert statuses == [201, 403, 200, 204, 403]


def test_users_are_found_by_when_their_password_ends(world: World) -> None:
    with world.kit.database.transaction() as session:
        ends = utc_now().replace(year=2030, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
        session.execute(update(User).where(User.name == "demo").values(password_expires_at=ends))
        later = ends + timedelta(days=1)
        session.execute(update(User).where(User.name == "compute").values(password_expires_at=later))

    def found(query: str) -> list[str]:
        return sorted(one["name"] for one in world.get(f"/v3/users?{query}", world.as_())["users"])

    assert found("password_expires_at=lt:2030-01-02T00:00:00Z") == ["demo"]
    assert found("password_expires_at=lte:2030-01-02T00:00:00Z") == ["compute", "demo"]
    assert found("password_expires_at=gt:2030-01-01T00:00:00Z") == ["compute"]
    assert found("password_expires_at=gte:2030-01-01T00:00:00Z&name__contains=dem") == ["demo"]
    assert found("password_expires_at=2030-01-01T00:00:00Z") == ["demo"]
    assert found("password_expires_at=eq:2030-01-01T00:00:00Z") == ["demo"]
    assert found("password_expires_at=neq:2030-01-01T00:00:00Z") == ["compute"]
    demo = world.log_in("demo", "demo-secret", scope_to("demo")).json()["token"]["user"]
    assert demo["password_expires_at"] == "2030-01-01T00:00:00.000000"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("le:2030-01-01T00:00:00Z", "The given operator le is not valid"),
        ("lt:soon", "Timestamp not in expected format"),
    ],
)
def test_a_time_that_is_none_is_refused(world: World, asked: str, said: str) -> None:
    answer = world.http.get(f"/v3/users?password_expires_at={asked}", headers=world.as_())

    assert answer.status_code == 400 and message(answer).startswith(said)


@pytest.mark.parametrize("name", ["idp_id", "protocol_id", "unique_id"])
def test_nobody_comes_from_an_identity_provider(world: World, name: str) -> None:
    assert world.get(f"/v3/users?{name}=x", world.as_())["users"] == []


@with_settings(disable_user_account_days_inactive=30)
def test_who_stays_away_too_long_is_disabled_unless_excepted_or_enabled_again(world: World) -> None:
    user, token = world.id_of("users", "demo"), world.token("demo")
    _away(world, days=31)

    gone, shown = world.log_in("demo", "demo-secret"), world.get(f"/v3/users/{user}", world.as_())["user"]
    invalid = world.validate(token)
    change(world, user, options={"ignore_user_inactivity": True})
    excepted = world.log_in("demo", "demo-secret")
    change(world, user, options={"ignore_user_inactivity": None})
    _away(world, days=31)
    change(world, user, enabled=True)
    back = world.log_in("demo", "demo-secret")

    assert (gone.status_code, excepted.status_code, back.status_code) == (401, 201, 201)
    assert shown["enabled"] is False and invalid.status_code == 404


def _away(world: World, *, days: int) -> None:
    with world.kit.database.transaction() as session:
        session.execute(update(User).where(User.name == "demo").values(active_at=utc_now() - timedelta(days=days)))


def test_a_password_is_in_no_answer_about_what_was_wrong(world: World) -> None:
    bodies: list[Any] = [{"user": {"password": "hunter-2"}}, {"user": {"name": "x", "password": ["hunter-2"]}}]

    for body in bodies:
        answer = world.http.post("/v3/users", headers=world.as_(), json=body)
        assert answer.status_code == 400 and "hunter-2" not in answer.text
