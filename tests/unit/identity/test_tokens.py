"""Issuing, validating and revoking tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from common.db.counting import counted
from common.http.inprocess import Inside
from services.identity.client import IdentityClient
from services.identity.db.tables import Domain, User
from tests.unit.identity.worlds import URL, World, a_project, a_user, scope_to

NOT_VALID = {
    "error": {"code": 401, "message": "The request you have made requires authentication.", "title": "Unauthorized"}
}


def test_a_project_token_tells_user_project_roles_and_catalog(world: World) -> None:
    answer = world.log_in("demo", "demo-secret", scope_to("demo"))

    token = answer.json()["token"]
    assert answer.status_code == 201 and answer.headers["x-subject-token"]
    assert list(token) == [
        "methods", "user", "audit_ids", "expires_at", "issued_at", "project", "is_domain", "roles", "catalog",
    ]  # fmt: skip
    assert token["user"] == {
        "domain": {"id": "default", "name": "Default"},
        "id": world.id_of("users", "demo"),
        "name": "demo",
        "password_expires_at": None,
    }
    assert token["project"]["name"] == "demo" and token["is_domain"] is False
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert token["methods"] == ["password"] and len(token["audit_ids"]) == 1
    assert {(one["type"], one["name"]) for one in token["catalog"]} == {
        ("identity", "keystone"), ("compute", "nova"), ("image", "glance"), ("placement", "placement"),
    }  # fmt: skip


def test_the_catalog_lists_three_interfaces_under_the_public_address(world: World) -> None:
    catalog = world.log_in("demo", "demo-secret", scope_to("demo")).json()["token"]["catalog"]

    for service in catalog:
        assert {endpoint["interface"] for endpoint in service["endpoints"]} == {"public", "internal", "admin"}
        assert all(set(one) == {"id", "interface", "region_id", "url", "region"} for one in service["endpoints"])
    assert {endpoint["url"] for service in catalog for endpoint in service["endpoints"]} == {
        "http://cloud.test/identity/v3", "http://cloud.test/compute/v2.1", "http://cloud.test/image/v2",
        "http://cloud.test/placement",
    }  # fmt: skip


def test_admin_holds_every_implied_role(world: World) -> None:
    roles = world.log_in("admin", "admin-secret", scope_to("admin")).json()["token"]["roles"]

    assert {role["name"] for role in roles} == {"admin", "manager", "member", "reader"}


@pytest.mark.parametrize("scope", [None, "unscoped", {"unscoped": {}}], ids=["no scope", "the word", "the object"])
def test_an_unscoped_token_has_neither_roles_nor_catalog(world: World, scope: object) -> None:
    token = world.log_in("demo", "demo-secret", scope).json()["token"]

    assert list(token) == ["methods", "user", "audit_ids", "expires_at", "issued_at"]


def test_the_default_project_is_the_scope_when_none_is_named(world: World) -> None:
    demo = world.id_of("projects", "demo")
    with world.kit.database.transaction() as session:
        session.execute(update(User).where(User.name == "demo").values(default_project_id=demo))

    by_default = world.log_in("demo", "demo-secret").json()["token"]
    unscoped = world.log_in("demo", "demo-secret", "unscoped").json()["token"]

    assert by_default["project"]["id"] == demo
    assert "project" not in unscoped


def test_a_default_project_without_a_role_gives_an_unscoped_token(world: World) -> None:
    a_user(world, "eve", default_project_id=world.id_of("projects", "demo"))

    assert "project" not in world.log_in("eve", "eve-secret").json()["token"]


def test_a_system_token_says_so(world: World) -> None:
    token = world.log_in("admin", "admin-secret", {"system": {"all": True}}).json()["token"]

    assert token["system"] == {"all": True} and "project" not in token and token["catalog"]


def test_a_domain_token_needs_a_role_on_the_domain(world: World) -> None:
    role, user = world.id_of("roles", "reader"), world.id_of("users", "demo")
    before = world.log_in("demo", "demo-secret", {"domain": {"id": "default"}})
    world.http.put(f"/v3/domains/default/users/{user}/roles/{role}", headers=world.as_())

    after = world.log_in("demo", "demo-secret", {"domain": {"name": "Default"}})

    assert before.status_code == 401
    assert after.json()["token"]["domain"] == {"id": "default", "name": "Default"}


@pytest.mark.parametrize(
    "scope", [{"project": {"id": "none"}}, scope_to("admin"), scope_to("none"), {"system": {"all": True}}]
)
def test_a_scope_that_is_not_ones_own_is_a_401_like_any_other(world: World, scope: object) -> None:
    answer = world.log_in("demo", "demo-secret", scope)

    assert answer.status_code == 401 and answer.json() == NOT_VALID


def test_two_scopes_at_once_are_refused(world: World) -> None:
    answer = world.log_in("demo", "demo-secret", scope_to("demo") | {"domain": {"id": "default"}})

    assert answer.status_code == 400


def test_a_user_is_found_by_id_too(world: World) -> None:
    user = {"id": world.id_of("users", "demo"), "password": "demo-secret"}

    answer = world.authenticate({"methods": ["password"], "password": {"user": user}}, scope_to("demo"))

    assert answer.status_code == 201


@pytest.mark.parametrize(
    "reason", ["unknown user", "wrong password", "disabled user", "disabled domain", "no password"]
)
def test_every_failed_login_looks_the_same(world: World, reason: str) -> None:
    name, password = "demo", "demo-secret"
    if reason == "unknown user":
        name = "nobody"
    if reason == "wrong password":
        password = "wrong"
    if reason == "no password":
        a_user(world, name := "eve", password=None)
    with world.kit.database.transaction() as session:
        if reason == "disabled user":
            session.execute(update(User).where(User.name == name).values(enabled=False))
        if reason == "disabled domain":
            session.execute(update(Domain).values(enabled=False))

    answer = world.log_in(name, password)

    assert answer.status_code == 401 and answer.json() == NOT_VALID
    assert answer.headers["www-authenticate"] == f'Keystone uri="{URL}"'
    assert answer.headers["vary"] == "X-Auth-Token"


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ({}, "auth"),
        ({"auth": {}}, "identity"),
        ({"auth": {"identity": {}}}, "methods"),
        ({"auth": {"identity": {"methods": []}}}, "methods"),
        ({"auth": {"identity": {"methods": ["password"]}}}, "password"),
        ({"auth": {"identity": {"methods": ["password"], "password": {}}}}, "user"),
        ({"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "a"}}}}}, "password"),
        (
            {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "a", "password": "b"}}}}},
            "domain",
        ),
        ({"auth": {"identity": {"methods": ["token"]}}}, "token"),
    ],
)
def test_an_incomplete_body_is_told_what_it_lacks(world: World, body: object, missing: str) -> None:
    answer = world.http.post("/v3/auth/tokens", json=body)

    assert answer.status_code == 400 and missing in answer.json()["error"]["message"]


def test_an_unknown_method_is_refused(world: World) -> None:
    answer = world.authenticate({"methods": ["carrier-pigeon"]})

    assert answer.status_code == 401


def test_nocatalog_leaves_the_catalog_out(world: World) -> None:
    user = {"name": "demo", "password": "demo-secret", "domain": {"id": "default"}}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope_to("demo")}

    issued = world.http.post("/v3/auth/tokens?nocatalog", json={"auth": auth})
    validated = world.validate(issued.headers["x-subject-token"], params={"nocatalog": ""})

    assert "catalog" not in issued.json()["token"]
    assert "catalog" not in validated.json()["token"]


def test_validating_shows_what_issuing_showed(world: World) -> None:
    issued = world.log_in("demo", "demo-secret", scope_to("demo"))

    validated = world.validate(issued.headers["x-subject-token"])

    assert validated.status_code == 200
    assert validated.json() == issued.json()
    assert validated.headers["x-subject-token"] == issued.headers["x-subject-token"]


def test_head_of_a_token_answers_200_without_a_body(world: World) -> None:
    headers = world.as_() | {"x-subject-token": world.token("demo")}

    answer = world.http.head("/v3/auth/tokens", headers=headers)

    assert answer.status_code == 200


def test_one_may_look_at_ones_own_token_but_not_at_anothers(world: World) -> None:
    own, other = world.token("demo"), world.token("admin")

    assert world.validate(own, own).status_code == 200
    assert world.validate(other, own).status_code == 403


@pytest.mark.parametrize("subject", ["nonsense", "a.b.c", "", "x" * 10_000])
def test_a_subject_that_is_no_token_is_not_found(world: World, subject: str) -> None:
    assert world.validate(subject).status_code == 404


def test_a_missing_subject_is_not_found(world: World) -> None:
    answer = world.http.get("/v3/auth/tokens", headers=world.as_())

    assert answer.status_code == 404 and answer.json()["error"]["message"] == "No token in the request"


def test_a_revoked_token_is_404_as_subject_and_401_as_token(world: World) -> None:
    token = world.token("demo")

    answer = world.http.delete("/v3/auth/tokens", headers={"x-auth-token": token, "x-subject-token": token})

    assert answer.status_code == 204 and answer.content == b""
    assert world.validate(token).status_code == 404
    assert world.http.get("/v3/auth/projects", headers={"x-auth-token": token}).status_code == 401


def test_revoking_one_token_leaves_the_users_others(world: World) -> None:
    kept, ended = world.token("demo"), world.token("demo")

    world.http.delete("/v3/auth/tokens", headers={"x-auth-token": ended, "x-subject-token": ended})

    assert world.validate(kept).status_code == 200


def test_a_token_of_a_user_who_was_disabled_does_not_validate(world: World) -> None:
    token = world.token("demo")
    with world.kit.database.transaction() as session:
        session.execute(update(User).where(User.name == "demo").values(enabled=False))

    assert world.validate(token).status_code == 404


def test_an_expired_token_validates_only_when_that_is_asked_for(world: World) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    token = world.token("demo")
    caller = world.kit.verifier.verify(token)
    with world.kit.database.reading() as session:
        old = {name: getattr(caller, name) for name in caller.__dataclass_fields__ if name != "token"}
        expired = world.kit.keyring.sign(session, type(caller)(**old | {"expires_at": past}))

    assert world.validate(expired).status_code == 404
    assert world.validate(expired, params={"allow_expired": "1"}).status_code == 200
    assert world.http.get("/v3/auth/projects", headers={"x-auth-token": expired}).status_code == 401


def test_a_token_of_a_former_key_stays_good(world: World) -> None:
    token = world.token("demo")
    world.kit.keyring.rotate()

    assert world.validate(token).status_code == 200
    assert world.validate(world.token("demo")).status_code == 200


def test_issuing_and_validating_take_a_constant_number_of_queries(world: World) -> None:
    subject, admin = world.token("demo"), world.token("admin")
    world.validate(subject, admin)  # the first check of a token also fetches the keys
    with counted(world.kit.database) as few_issued:
        world.token("demo")
    with counted(world.kit.database) as few_validated:
        world.validate(subject, admin)
    for number in range(5):
        project, user = a_project(world, f"p{number}"), a_user(world, f"u{number}")
        world.http.put(
            f"/v3/projects/{project}/users/{user}/roles/{world.id_of('roles', 'admin')}", headers=world.as_()
        )
    with counted(world.kit.database) as many_issued:
        world.token("demo")
    with counted(world.kit.database) as many_validated:
        world.validate(subject, admin)

    assert len(few_issued) == len(many_issued) <= 8
    assert len(few_validated) == len(many_validated) <= 7


def test_another_service_learns_keys_and_revocations_without_a_token(world: World) -> None:
    inside = Inside()
    assert world.part.app is not None
    inside.add("identity", world.part.app)
    near = {name: getattr(world.surroundings, name) for name in ("platform", "settings_file", "bus")}
    client = IdentityClient(type(world.surroundings)(**near, inside=inside))
    token = world.token("demo")

    world.http.delete("/v3/auth/tokens", headers={"x-auth-token": token, "x-subject-token": token})
    [revocation] = client.revocations()
    keys = client.keys()
    client.close()
    inside.close()

    assert revocation.audit_chain_id is not None and revocation.expires_at > datetime.now(UTC)
    assert len(keys) == 1
