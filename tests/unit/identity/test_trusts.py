"""Trusts."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import update

from services.identity.db.delegation_tables import Trust
from services.identity.db.tables import User
from tests.unit.identity.worlds import Headers, World, a_user, scope_to


def created(world: World, to: str, *, as_: Headers | None = None, by: str = "demo", **fields: Any) -> Response:
    asked = {
        "trustor_user_id": world.id_of("users", by),
        "trustee_user_id": to,
        "project_id": world.id_of("projects", "demo"),
        "impersonation": True,
        "roles": [{"name": "member"}],
    }
    return world.http.post("/v3/OS-TRUST/trusts", headers=as_ or world.as_("demo"), json={"trust": asked | fields})


def a_trust(world: World, to: str, **fields: Any) -> dict[str, Any]:
    answer = created(world, to, **fields)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["trust"]
    return found


def use(world: World, trust: dict[str, Any], name: str = "eve") -> Response:
    return world.log_in(name, f"{name}-secret", {"OS-TRUST:trust": {"id": trust["id"]}})


def token_of(world: World, trust: dict[str, Any], name: str = "eve") -> str:
    answer = use(world, trust, name)
    assert answer.status_code == 201, answer.text
    return answer.headers["x-subject-token"]


@pytest.mark.parametrize("impersonation", [True, False])
def test_a_trustee_acts_with_the_trustors_roles(world: World, impersonation: bool) -> None:
    eve, demo = a_user(world, "eve"), world.id_of("users", "demo")
    trust = a_trust(world, eve, impersonation=impersonation)

    answer = use(world, trust)

    token = answer.json()["token"]
    assert token["user"]["id"] == (demo if impersonation else eve)
    assert token["project"]["name"] == "demo" and {one["name"] for one in token["roles"]} == {"member", "reader"}
    assert token["OS-TRUST:trust"] == {
        "id": trust["id"],
        "impersonation": impersonation,
        "trustee_user": {"id": eve},
        "trustor_user": {"id": demo},
    }
    assert world.validate(answer.headers["x-subject-token"]).json()["token"] == token


def test_a_trust_shows_its_roles_and_is_found_by_both(world: World) -> None:
    eve = a_user(world, "eve")
    trust = a_trust(world, eve)
    own, member = f"/v3/OS-TRUST/trusts/{trust['id']}", world.id_of("roles", "member")
    demo, hers = world.as_("demo"), world.as_("eve", "unscoped")

    assert [one["name"] for one in world.get(own, hers)["trust"]["roles"]] == ["member"]
    assert [one["id"] for one in world.get(own + "/roles", demo)["roles"]] == [member]
    assert world.get(f"{own}/roles/{member}", demo)["role"]["name"] == "member"
    assert world.http.head(f"{own}/roles/{world.id_of('roles', 'reader')}", headers=demo).status_code == 404
    for path, who in (
        (f"?trustee_user_id={eve}", hers),
        (f"?trustor_user_id={trust['trustor_user_id']}", demo),
        ("", world.as_()),
    ):
        assert [one["id"] for one in world.get("/v3/OS-TRUST/trusts" + path, who)["trusts"]] == [trust["id"]]
    assert world.http.get("/v3/OS-TRUST/trusts", headers=demo).status_code == 403


def test_a_deleted_trust_is_gone_and_its_tokens_end(world: World) -> None:
    trust = a_trust(world, a_user(world, "eve"))
    token, own = token_of(world, trust), f"/v3/OS-TRUST/trusts/{trust['id']}"

    refused = world.http.delete(own, headers=world.as_("eve", "unscoped")).status_code
    gone = world.http.delete(own, headers=world.as_("demo")).status_code

    assert (refused, gone) == (403, 204)
    assert world.validate(token).status_code == 404 and use(world, trust).status_code == 401
    assert world.http.get(own, headers=world.as_("demo")).status_code == 404


@pytest.mark.parametrize(
    ("reason", "status"),
    [("unknown", 401), ("not the trustee", 401), ("over", 401), ("trustor disabled", 403), ("role lost", 403)],
)
def test_a_trust_that_is_worth_nothing_gives_no_token(world: World, reason: str, status: int) -> None:
    a_user(world, "bob")
    trust = a_trust(world, a_user(world, "eve"))
    name = "bob" if reason == "not the trustee" else "eve"
    if reason == "unknown":
        trust["id"] = "0" * 32
    with world.kit.database.transaction() as session:
        if reason == "over":
            session.execute(update(Trust).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
        if reason == "trustor disabled":
            session.execute(update(User).where(User.name == "demo").values(enabled=False))
    if reason == "role lost":
        project, role = world.id_of("projects", "demo"), world.id_of("roles", "member")
        world.http.delete(f"/v3/projects/{project}/users/{trust['trustor_user_id']}/roles/{role}", headers=world.as_())

    assert use(world, trust, name).status_code == status


def test_a_trust_is_used_no_more_often_than_it_says_however_many_ask_at_once(world: World) -> None:
    trust, statuses = a_trust(world, a_user(world, "eve"), remaining_uses=3), list[int]()
    threads = [threading.Thread(target=lambda: statuses.append(use(world, trust).status_code)) for _ in range(6)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [201, 201, 201, 401, 401, 401]
    assert world.http.get(f"/v3/OS-TRUST/trusts/{trust['id']}", headers=world.as_("demo")).status_code == 404


def test_a_token_of_a_trust_is_not_rescoped_and_does_not_outlive_it(world: World) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=60)
    trust = a_trust(world, a_user(world, "eve"), expires_at=ends.isoformat())
    answer = use(world, trust)

    refused = world.rescope(answer.headers["x-subject-token"], scope_to("demo"))

    assert refused.status_code == 403
    assert datetime.fromisoformat(answer.json()["token"]["expires_at"]) <= ends


def test_the_second_trustee_acts_for_the_first_trustor_and_ends_with_the_first_trust(world: World) -> None:
    eve, bob = a_user(world, "eve"), a_user(world, "bob")
    first = a_trust(world, eve, allow_redelegation=True, redelegation_count=1)
    hers = {"x-auth-token": token_of(world, first)}

    second = a_trust(world, bob, as_=hers)
    token = token_of(world, second, "bob")
    world.http.delete(f"/v3/OS-TRUST/trusts/{first['id']}", headers=world.as_("demo"))

    assert second["redelegated_trust_id"] == first["id"] and second["redelegation_count"] == 0
    assert world.validate(token).status_code == 404 and use(world, second, "bob").status_code == 401


@pytest.mark.parametrize(
    "fields",
    [
        {"allow_redelegation": True},
        {"remaining_uses": 1},
        {"expires_at": "2999-01-01T00:00:00Z"},
        {"roles": [{"name": "admin"}]},
    ],
)
def test_a_redelegated_trust_is_never_more_than_its_origin(world: World, fields: dict[str, Any]) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    first = a_trust(world, a_user(world, "eve"), allow_redelegation=True, redelegation_count=1, expires_at=ends)
    hers = {"x-auth-token": token_of(world, first)}

    answer = created(world, a_user(world, "bob"), as_=hers, **fields)

    allowed = fields == {"allow_redelegation": True}  # with a count of its own: none is left
    assert answer.status_code == (201 if allowed else 403)
    assert not allowed or answer.json()["trust"]["redelegation_count"] == 0


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"roles": []}, 403),
        ({"roles": [{"name": "admin"}]}, 403),
        ({"project_id": "none"}, 404),
        ({"trustee_user_id": "none"}, 404),
        ({"remaining_uses": 0}, 400),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 400),
        ({"impersonation": "yes"}, 400),
        ({"allow_redelegation": True, "redelegation_count": 99}, 403),
        ({"trustor_user_id": "another"}, 403),
    ],
)
def test_a_bad_trust_is_refused(world: World, fields: dict[str, Any], status: int) -> None:
    assert created(world, a_user(world, "eve"), **fields).status_code == status


def test_c2_a_trust_of_others_looks_like_one_that_is_not_there(world: World) -> None:
    trust, stranger = a_trust(world, a_user(world, "eve")), a_user(world, "mallory")
    assert stranger != trust["trustor_user_id"]
    hers = world.as_("mallory", "unscoped")

    told = []
    for trust_id in (trust["id"], "0" * 32):
        path = f"/v3/OS-TRUST/trusts/{trust_id}"
        asked = [("GET", path), ("DELETE", path), ("GET", path + "/roles"), ("GET", path + "/roles/x")]
        answers = [world.http.request(method, one, headers=hers) for method, one in asked]
        told.append([(one.status_code, one.text.replace(trust_id, "ID")) for one in answers])

    assert told[0] == told[1] and {status for status, _ in told[0]} == {404}
