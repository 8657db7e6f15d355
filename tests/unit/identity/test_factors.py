"""Passcodes, log-ins with several methods, and limits for one address."""

from __future__ import annotations

import time
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import update

from services.identity.core.sources import Sources
from services.identity.core.totp import STEP_S, passcode, seed, step_of
from services.identity.db.tables import User
from tests.unit.identity.worlds import World, scope_to, with_settings

SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238, appendix B
DEMO = {"name": "demo", "domain": {"id": "default"}}


def with_seed(world: World) -> None:
    body = {"credential": {"type": "totp", "blob": SEED}}
    assert world.http.post("/v3/credentials", headers=world.as_("demo"), json=body).status_code == 201


def demand_both(world: World) -> None:
    options = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"]]}
    with world.kit.database.transaction() as session:
        session.execute(update(User).where(User.name == "demo").values(options=options))


def code(steps_ago: int = 0) -> str:
    key = seed(SEED)
    assert key
    return passcode(key, int(time.time()) // STEP_S - steps_ago)


def log_in(
    world: World, *methods: str, headers: dict[str, str] | None = None, steps_ago: int = 0, shown: str = ""
) -> Response:
    identity: dict[str, Any] = {"methods": list(methods)}
    identity["password"] = {"user": DEMO | {"password": "demo-secret"}}
    identity["totp"] = {"user": DEMO | {"passcode": shown or code(steps_ago)}}
    body = {"auth": {"identity": identity, "scope": scope_to("demo")}}
    return world.http.post("/v3/auth/tokens", headers=headers, json=body)


@pytest.mark.parametrize(("at", "shown"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_passcodes_are_those_of_the_rfc(at: int, shown: str) -> None:
    assert step_of(seed(SEED) or b"", shown, at) == at // STEP_S


def test_a_passcode_is_good_once(world: World) -> None:
    with_seed(world)
    shown = code()

    used = {log_in(world, "totp", shown=shown).status_code for _ in range(2)}

    assert used == {201, 401}


def test_an_old_or_a_wrong_passcode_is_refused_like_one_of_a_user_without_a_seed(world: World) -> None:
    nobody = log_in(world, "totp")
    with_seed(world)
    old = log_in(world, "totp", steps_ago=5)

    assert nobody.status_code == old.status_code == 401 and nobody.json() == old.json()


@with_settings(lockout_first_s=300)
def test_guessing_passcodes_locks_them_however_often_the_password_is_right(world: World) -> None:
    with_seed(world)
    for _ in range(world.kit.settings.lockout_after + 1):
        log_in(world, "password", "totp", steps_ago=9)

    assert log_in(world, "totp").status_code == 401 and log_in(world, "password").status_code == 201


def test_a_user_with_rules_needs_all_methods_of_one_of_them(world: World) -> None:
    with_seed(world)
    demand_both(world)

    assert log_in(world, "password").status_code == 401
    assert log_in(world, "password", "totp").json()["token"]["methods"] == ["password", "totp"]


def test_a_receipt_stands_for_what_was_shown_before(world: World) -> None:
    with_seed(world)
    demand_both(world)
    first = log_in(world, "password")
    receipt = {"openstack-auth-receipt": first.headers["openstack-auth-receipt"]}

    second = log_in(world, "totp", headers=receipt)

    assert first.json()["required_auth_methods"] == [["password", "totp"]]
    assert first.json()["receipt"]["methods"] == ["password"] and first.json()["receipt"]["user"]["name"] == "demo"
    assert second.status_code == 201 and set(second.json()["token"]["methods"]) == {"password", "totp"}


def test_a_receipt_is_no_token_and_a_token_no_receipt(world: World) -> None:
    token = world.token("demo")
    with_seed(world)
    demand_both(world)
    receipt = log_in(world, "password").headers["openstack-auth-receipt"]

    assert world.http.get("/v3/auth/projects", headers={"x-auth-token": receipt}).status_code == 401
    assert log_in(world, "totp", headers={"openstack-auth-receipt": token}).status_code == 401
    assert log_in(world, "totp", headers={"openstack-auth-receipt": receipt + "x"}).status_code == 401


def test_a_receipt_counts_for_its_own_user_only(world: World) -> None:
    with_seed(world)
    demand_both(world)
    receipt = log_in(world, "password").headers["openstack-auth-receipt"]
    user = {"name": "admin", "password": "admin-secret", "domain": {"id": "default"}}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}}

    answer = world.http.post("/v3/auth/tokens", headers={"openstack-auth-receipt": receipt}, json={"auth": auth})

    assert answer.status_code == 401


def test_an_address_that_fails_too_often_waits_and_others_do_not(world: World) -> None:
    world.kit.sources.burst, world.kit.sources.per_s = 3, 0.01  # none comes back while the test runs
    office, elsewhere = {"x-forwarded-for": "192.0.2.1"}, {"x-forwarded-for": "192.0.2.2"}
    failed = [log_in(world, "carrier-pigeon", headers=office).status_code for _ in range(3)]

    limited = log_in(world, "password", headers=office)
    statuses = [log_in(world, "password", headers=who).status_code for who in (elsewhere, {})]

    assert failed == [401] * 3 and limited.status_code == 429
    assert statuses == [201, 201] and 50 < int(limited.headers["retry-after"]) <= 100
    assert limited.json()["error"]["code"] == 429


def test_failures_of_an_address_are_forgotten_with_time() -> None:
    sources = Sources(burst=2, per_s=1)
    for _ in range(2):
        sources.failed("a", 100.0)

    assert sources.wait_s("a", 100.0) == 1.0 and sources.wait_s("a", 101.0) == 0 and sources.wait_s("b", 100.0) == 0
