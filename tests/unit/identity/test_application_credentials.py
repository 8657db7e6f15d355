"""Application credentials and their access rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import update

from services.identity.core.application_secrets import ApplicationSecrets
from services.identity.db.delegation_tables import ApplicationCredential
from tests.unit.identity.worlds import Headers, World, scope_to, with_settings

NOT_VALID = "The request you have made requires authentication."


def created(world: World, name: str = "ci", *, as_: Headers | None = None, **fields: Any) -> Response:
    path = f"/v3/users/{world.id_of('users', 'demo')}/application_credentials"
    body = {"application_credential": {"name": name} | fields}
    return world.http.post(path, headers=as_ or world.as_("demo"), json=body)


def a_credential(world: World, name: str = "ci", **fields: Any) -> dict[str, Any]:
    answer = created(world, name, **fields)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["application_credential"]
    return found


def log_in(world: World, credential_id: str, secret: str, **options: object) -> Response:
    method = {"id": credential_id, "secret": secret}
    return world.authenticate({"methods": ["application_credential"], "application_credential": method}, **options)


def token_of(world: World, credential: dict[str, Any]) -> str:
    answer = log_in(world, credential["id"], credential["secret"])
    assert answer.status_code == 201, answer.text
    return answer.headers["x-subject-token"]


def test_a_credential_gives_a_token_for_its_project_with_its_roles(world: World) -> None:
    credential = a_credential(world, roles=[{"name": "reader"}])

    token = log_in(world, credential["id"], credential["secret"]).json()["token"]

    assert token["project"]["name"] == "demo" and [role["name"] for role in token["roles"]] == ["reader"]
    assert token["methods"] == ["application_credential"]
    assert token["application_credential"] == {"id": credential["id"], "name": "ci", "restricted": True}


def test_the_secret_is_shown_once(world: World) -> None:
    credential = a_credential(world)

    shown = world.get(
        f"/v3/users/{credential['user_id']}/application_credentials/{credential['id']}", world.as_("demo")
    )

    assert "secret" not in shown["application_credential"] and len(credential["secret"]) == 88
    with world.kit.database.reading() as session:
        stored = session.get_one(ApplicationCredential, credential["id"])
        assert credential["secret"] not in stored.secret_hash


def test_a_secret_of_the_users_own_is_kept_as_a_password_is(world: World) -> None:
    credential = a_credential(world, secret="my own")

    answers = [log_in(world, credential["id"], "my own").status_code for _ in range(2)]

    with world.kit.database.reading() as session:
        assert session.get_one(ApplicationCredential, credential["id"]).secret_hash.startswith("$argon2id$")
    assert answers == [201, 201] and log_in(world, credential["id"], "my  own").status_code == 401


def test_a_credential_is_found_by_name_and_user_too(world: World) -> None:
    credential = a_credential(world)
    user = {"name": "demo", "domain": {"id": "default"}}
    method = {"name": "ci", "user": user, "secret": credential["secret"]}

    answer = world.authenticate({"methods": ["application_credential"], "application_credential": method})

    assert answer.status_code == 201


@pytest.mark.parametrize("reason", ["unknown", "wrong secret", "another's secret", "expired", "deleted", "role lost"])
def test_every_refusal_looks_the_same(world: World, reason: str) -> None:
    credential, secret = a_credential(world), ""
    secret = credential["secret"]
    credential_id = "0" * 32 if reason == "unknown" else credential["id"]
    if reason == "wrong secret":
        secret = "wrong"
    if reason == "another's secret":
        secret = a_credential(world, "other")["secret"]
    if reason == "expired":
        with world.kit.database.transaction() as session:
            session.execute(update(ApplicationCredential).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    if reason == "deleted":
        path = f"/v3/users/{credential['user_id']}/application_credentials/{credential_id}"
        assert world.http.delete(path, headers=world.as_("demo")).status_code == 204
    if reason == "role lost":
        project, role = world.id_of("projects", "demo"), world.id_of("roles", "member")
        path = f"/v3/projects/{project}/users/{credential['user_id']}/roles/{role}"
        assert world.http.delete(path, headers=world.as_()).status_code == 204

    answer = log_in(world, credential_id, secret)

    assert answer.status_code == 401 and answer.json()["error"]["message"] == NOT_VALID


@with_settings(lockout_first_s=300)
def test_guessing_a_chosen_secret_locks_the_credential(world: World) -> None:
    credential = a_credential(world, secret="guess me")
    for _ in range(world.kit.settings.lockout_after + 1):
        log_in(world, credential["id"], "wrong")

    assert log_in(world, credential["id"], "guess me").status_code == 401


def test_a_credential_asks_for_no_scope(world: World) -> None:
    credential = a_credential(world)

    answer = log_in(world, credential["id"], credential["secret"], scope=scope_to("demo"))

    assert answer.status_code == 401


def test_a_token_does_not_outlive_its_credential(world: World) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=60)
    credential = a_credential(world, expires_at=ends.isoformat())

    token = log_in(world, credential["id"], credential["secret"]).json()["token"]

    assert datetime.fromisoformat(token["expires_at"]) <= ends
    assert credential["expires_at"] == ends.replace(tzinfo=None).isoformat(timespec="microseconds")


def test_deleting_a_credential_ends_its_tokens_and_no_others(world: World) -> None:
    ended, kept = a_credential(world, "ended"), a_credential(world, "kept")
    tokens = [token_of(world, one) for one in (ended, kept)]

    path = f"/v3/users/{ended['user_id']}/application_credentials/{ended['id']}"
    world.http.delete(path, headers=world.as_("demo"))

    assert [world.validate(token).status_code for token in tokens] == [404, 200]


def test_a_token_of_a_credential_is_not_rescoped(world: World) -> None:
    token = token_of(world, a_credential(world, unrestricted=True))

    answer = world.rescope(token, scope_to("demo"))

    assert answer.status_code == 403 and "rescope a scoped token" in answer.json()["error"]["message"]


def test_names_are_unique_for_a_user(world: World) -> None:
    a_credential(world)

    assert created(world).status_code == 409


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"roles": [{"name": "admin"}]}, 400),
        ({"roles": [{}]}, 400),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 400),
        ({"expires_at": "soon"}, 400),
        ({"access_rules": [{"service": "compute", "method": "LOOK", "path": "/"}]}, 400),
        ({"access_rules": [{"service": "compute"}]}, 400),
        ({"access_rules": [{"id": "none"}]}, 404),
        ({"unrestricted": "yes"}, 400),
        ({"colour": "red"}, 400),
    ],
)
def test_a_bad_credential_is_refused(world: World, fields: dict[str, Any], status: int) -> None:
    assert created(world, **fields).status_code == status


def test_only_the_user_makes_its_credentials(world: World) -> None:
    assert created(world, as_=world.as_()).status_code == 403


def test_lists_filter_by_name_and_take_a_constant_number_of_queries(world: World) -> None:
    for name in ("a", "b"):
        a_credential(world, name, access_rules=[{"service": "compute", "method": "GET", "path": f"/{name}"}])
    path = f"/v3/users/{world.id_of('users', 'demo')}/application_credentials"

    found = world.get(path + "?name=a", world.as_("demo"))["application_credentials"]

    assert [one["name"] for one in found] == ["a"] and found[0]["access_rules"][0]["path"] == "/a"
    assert len(world.get(path, world.as_("demo"))["application_credentials"]) == 2


def test_an_access_rule_stays_until_nobody_has_it(world: World) -> None:
    rules = [{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]
    first, second = a_credential(world, "a", access_rules=rules), a_credential(world, "b", access_rules=rules)
    own, admin = f"/v3/users/{first['user_id']}", world.as_("demo")
    rule = first["access_rules"][0]["id"]

    refused = world.http.delete(f"{own}/access_rules/{rule}", headers=admin).status_code
    for one in (first, second):
        world.http.delete(f"{own}/application_credentials/{one['id']}", headers=admin)
    left = world.get(f"{own}/access_rules", admin)["access_rules"]
    shown = world.get(f"{own}/access_rules/{rule}", admin)["access_rule"]
    gone = world.http.delete(f"{own}/access_rules/{rule}", headers=admin).status_code

    assert (refused, gone) == (403, 204) and [one["id"] for one in left] == [rule] and shown["path"] == "/v2.1/servers"
    assert world.http.get(f"{own}/access_rules/{rule}", headers=admin).status_code == 404


def test_a_token_is_held_to_its_access_rules_here_too(world: World) -> None:
    rules = [{"service": "identity", "method": "GET", "path": "/v3/auth/*"}]
    credential = a_credential(world, access_rules=rules)
    headers = {"x-auth-token": token_of(world, credential)}

    statuses = [world.http.get(path, headers=headers).status_code for path in ("/v3/auth/projects", "/v3/regions")]

    assert statuses == [200, 401]
    shown = log_in(world, credential["id"], credential["secret"]).json()["token"]["application_credential"]
    assert shown["access_rules"] == [{"service": "identity", "method": "GET", "path": "/v3/auth/*"}]


def test_only_this_cloud_makes_secrets_that_are_compared_fast(world: World) -> None:
    mine, other = world.kit.secrets, ApplicationSecrets("another cloud", world.kit.passwords)

    assert mine.is_ours(mine.make())
    assert not any(mine.is_ours(one) for one in (other.make(), "a" * 88, mine.make()[:-1] + "!", "é" * 88, ""))
