"""Rows K1, K3, K4, K5, K11 and K13: attacks that other identity services fell to."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.auth.callers import Caller
from common.auth.tokens import sign
from services.identity.core.keys import Seal
from services.identity.db.tables import SigningKey
from tests.unit.identity.worlds import World, a_user, scope_to


def test_k1_a_token_made_from_a_token_ends_no_later(world: World) -> None:
    first = world.log_in("demo", "demo-secret", "unscoped")
    original = world.kit.verifier.verify(first.headers["x-subject-token"])
    with world.kit.database.reading() as session:
        names = [name for name in original.__dataclass_fields__ if name != "token"]
        soon = original.issued_at.replace(microsecond=0) + timedelta(seconds=90)
        short = Caller(**{name: getattr(original, name) for name in names} | {"expires_at": soon})
        token = world.kit.keyring.sign(session, short)

    for scope in (scope_to("demo"), "unscoped", scope_to("demo")):
        made = world.rescope(token, scope)
        token = made.headers["x-subject-token"]
        assert (
            datetime.strptime(made.json()["token"]["expires_at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) == soon
        )


def test_a_rescoped_token_names_its_methods_and_the_first_of_its_chain(world: World) -> None:
    first = world.log_in("demo", "demo-secret", "unscoped")
    second = world.rescope(first.headers["x-subject-token"], scope_to("demo"))
    third = world.rescope(second.headers["x-subject-token"], "unscoped")

    [root] = first.json()["token"]["audit_ids"]
    for made in (second, third):
        own, chain = made.json()["token"]["audit_ids"]
        assert chain == root != own
        assert set(made.json()["token"]["methods"]) == {"token", "password"}


def test_k3_revoking_a_token_ends_all_that_were_made_from_it(world: World) -> None:
    chain = [world.token("demo", "unscoped")]
    for scope in (scope_to("demo"), "unscoped", scope_to("demo")):
        chain.append(world.rescope(chain[-1], scope).headers["x-subject-token"])

    middle = {"x-auth-token": world.token("demo"), "x-subject-token": chain[1]}
    world.http.delete("/v3/auth/tokens", headers=middle)
    after_middle = [world.validate(token).status_code for token in chain]
    world.http.delete("/v3/auth/tokens", headers={"x-auth-token": chain[0], "x-subject-token": chain[0]})
    after_first = [world.validate(token).status_code for token in chain]

    assert after_middle == [200, 404, 404, 404]
    assert after_first == [404, 404, 404, 404]
    assert all(world.rescope(token, scope_to("demo")).status_code == 404 for token in chain)


def test_k3_a_chain_of_tokens_has_an_end(world: World) -> None:
    token, statuses = world.token("demo", "unscoped"), []
    for _ in range(40):
        made = world.rescope(token, "unscoped")
        statuses.append(made.status_code)
        token = made.headers.get("x-subject-token", token)

    assert statuses[0] == 201 and statuses[-1] == 401
    assert len(token) < 4096


def test_k3_a_token_with_any_byte_changed_is_refused(world: World) -> None:
    token = world.token("demo")

    for place in range(0, len(token), 37):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert world.http.get("/v3/auth/projects", headers={"x-auth-token": changed}).status_code == 401


def test_k3_a_token_signed_by_somebody_else_is_refused_even_under_a_known_key_id(world: World) -> None:
    genuine = world.kit.verifier.verify(world.token("demo"))
    with world.kit.database.reading() as session:
        [known] = world.kit.keyring.published(session)
    forged = sign(genuine, key=Ed25519PrivateKey.generate(), key_id=known.id)

    assert world.http.get("/v3/auth/projects", headers={"x-auth-token": forged}).status_code == 401


@pytest.mark.parametrize("password", ["", "\0", "demo-secret\0", "\0demo-secret", " demo-secret", "demo-secret "])
def test_k4_k5_odd_passwords_are_simply_wrong(world: World, password: str) -> None:
    assert world.log_in("demo", password).status_code == 401


def test_k5_passwords_that_only_look_alike_differ(world: World) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    a_user(world, "eve", password=composed)

    assert world.log_in("eve", composed).status_code == 201
    assert world.log_in("eve", decomposed).status_code == 401


def test_k5_no_byte_of_a_long_password_is_cut_off(world: World) -> None:
    a_user(world, "eve", password="x" * 100 + "a")

    assert world.log_in("eve", "x" * 100 + "a").status_code == 201
    assert world.log_in("eve", "x" * 100 + "b").status_code == 401


def test_k5_a_huge_password_is_refused_without_hashing_it(world: World) -> None:
    huge, before = "x" * 900_000, time.process_time()

    answer = world.log_in("demo", huge)

    assert answer.status_code == 401
    assert time.process_time() - before < 0.2


def test_k5_a_lone_surrogate_is_a_bad_request(world: World) -> None:
    body = b'{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"x","password":"\\ud800"}}}}}'

    answer = world.http.post("/v3/auth/tokens", content=body)

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/v3/users?name=a%00b",
        "/v3/users/a%00b",
        "/v3/users?name=%F0%9F%98%80",
        "/v3/users/..%2f..%2fetc",
        "/v3/projects?marker=%27",
    ],
)
def test_odd_addresses_are_never_an_error_of_ours(world: World, path: str) -> None:
    assert world.http.get(path, headers=world.as_()).status_code in (200, 400, 404)


def test_k11_headers_that_claim_an_identity_are_ignored(world: World) -> None:
    claims = {
        "X-Roles": "admin", "X-Role": "admin", "X-User-Id": world.id_of("users", "admin"), "X-Is-Admin-Project": "True",
        "X-Project-Id": world.id_of("projects", "admin"), "X-Identity-Status": "Confirmed", "x_roles": "admin",
        "X-Service-Roles": "service", "X-Domain-Id": "default", "OpenStack-System-Scope": "all", "X-Pileus-Proof": "1.x",
    }  # fmt: skip
    demo = world.as_("demo")

    assert world.http.get("/v3/users", headers=claims).status_code == 401
    assert world.http.get("/v3/users", headers=claims | demo).status_code == 403
    assert world.http.get("/v3/OS-REVOKE/events", headers=claims).status_code == 401


def test_k11_two_tokens_in_one_request_are_none(world: World) -> None:
    tokens = [("x-auth-token", world.token("demo")), ("x-auth-token", world.token("admin"))]

    assert world.http.get("/v3/users", headers=tokens).status_code == 401


def test_k13_a_method_that_is_named_ten_thousand_times_counts_once(world: World) -> None:
    user = {"name": "demo", "password": "wrong", "domain": {"id": "default"}}
    wrong = world.authenticate({"methods": ["password"] * 10_000, "password": {"user": user}})
    right = world.authenticate(
        {"methods": ["password"] * 10_000, "password": {"user": user | {"password": "demo-secret"}}}
    )

    assert wrong.status_code == 401
    assert right.status_code == 201 and right.json()["token"]["methods"] == ["password"]


def test_two_methods_must_prove_the_same_user(world: World) -> None:
    user = {"name": "demo", "password": "demo-secret", "domain": {"id": "default"}}
    both = {"methods": ["password", "token"], "password": {"user": user}}

    other = world.authenticate(both | {"token": {"id": world.token("admin")}})
    same = world.authenticate(both | {"token": {"id": world.token("demo")}})

    assert other.status_code == 401 and same.status_code == 201


def test_private_keys_are_sealed_and_public_ones_carry_nothing_private(world: World) -> None:
    with world.kit.database.reading() as session:
        [stored] = session.query(SigningKey).all()
    [published] = world.http.get("/v3/.well-known/jwks.json").json()["keys"]

    assert set(published) == {"kty", "crv", "use", "alg", "kid", "x"}
    assert Seal("another secret").opened(stored.sealed) is None


def test_a_process_with_another_secret_makes_a_key_of_its_own_and_old_tokens_stay_good(world: World) -> None:
    token = world.token("demo")
    keyring = world.kit.keyring
    keyring._seal, keyring._private = Seal("another secret"), {}

    keyring.prepare(max_age=timedelta(days=30))

    assert world.validate(token).status_code == 200
    assert world.validate(world.token("demo")).status_code == 200
