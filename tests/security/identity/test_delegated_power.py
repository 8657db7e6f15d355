"""K8: what acts in a user's name never gets hold of more than it was given."""

from __future__ import annotations

import pytest

from tests.unit.identity.test_application_credentials import a_credential
from tests.unit.identity.test_application_credentials import token_of as token_of_credential
from tests.unit.identity.test_trusts import a_trust, created
from tests.unit.identity.test_trusts import token_of as token_of_trust
from tests.unit.identity.worlds import World, a_user


def _delegated(world: World, kind: str) -> str:
    if kind == "trust":
        return token_of_trust(world, a_trust(world, a_user(world, "eve")))
    return token_of_credential(world, a_credential(world, "restricted"))


@pytest.mark.parametrize("kind", ["trust", "restricted application credential"])
def test_k8_a_delegated_token_makes_and_reads_no_secrets(world: World, kind: str) -> None:
    headers = {"x-auth-token": _delegated(world, kind)}
    own, project = f"/v3/users/{world.id_of('users', 'demo')}", world.id_of("projects", "demo")
    blob = '{"access": "a", "secret": "b"}'
    asked: list[tuple[str, str, object]] = [
        ("POST", f"{own}/application_credentials", {"application_credential": {"name": "more"}}),
        ("POST", f"{own}/credentials/OS-EC2", {"tenant_id": project}),
        ("GET", f"{own}/credentials/OS-EC2", None),
        ("POST", "/v3/credentials", {"credential": {"type": "ec2", "blob": blob, "project_id": project}}),
        ("GET", "/v3/credentials", None),
    ]

    statuses = [
        world.http.request(method, path, headers=headers, json=body).status_code for method, path, body in asked
    ]

    assert statuses == [403] * len(asked)
    assert created(world, a_user(world, "bob"), as_=headers).status_code == 403


def test_k8_an_unrestricted_credential_hands_on_no_role_that_it_lacks(world: World) -> None:
    credential = a_credential(world, unrestricted=True, roles=[{"name": "reader"}])
    headers = {"x-auth-token": token_of_credential(world, credential)}
    own = f"/v3/users/{credential['user_id']}"

    body = {"application_credential": {"name": "more", "roles": [{"name": "member"}]}}
    more = world.http.post(f"{own}/application_credentials", headers=headers, json=body)
    trust = created(world, a_user(world, "eve"), as_=headers)

    assert more.status_code == 400 and trust.status_code == 403


def test_k2_disabling_a_trustor_or_a_trustee_ends_the_tokens_of_the_trust(world: World) -> None:
    for ended in ("trustor", "trustee"):
        eve = a_user(world, f"eve-{ended}")
        trust = a_trust(world, eve, impersonation=ended == "trustee")
        token = token_of_trust(world, trust, f"eve-{ended}")
        who = trust[f"{ended}_user_id"]

        world.http.patch(f"/v3/users/{who}", headers=world.as_(), json={"user": {"enabled": False}})

        assert world.http.get("/v3/auth/projects", headers={"x-auth-token": token}).status_code == 401
        world.http.patch(f"/v3/users/{who}", headers=world.as_(), json={"user": {"enabled": True}})
