"""Credentials, application credentials and trusts: the same on SQLite and on PostgreSQL; ended everywhere within a second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from services.identity.client import verifier_for
from tests.contract.identity.test_databases import cloud
from tests.harness.waiting import until
from tests.unit.identity.test_application_credentials import a_credential
from tests.unit.identity.test_application_credentials import log_in as log_in_by_secret
from tests.unit.identity.test_application_credentials import token_of as token_of_credential
from tests.unit.identity.test_client import DeafBus, _refused, next_to
from tests.unit.identity.test_credentials import a_pair, signed_with
from tests.unit.identity.test_factors import code, log_in, with_seed
from tests.unit.identity.test_trusts import a_trust, use
from tests.unit.identity.test_trusts import token_of as token_of_trust
from tests.unit.identity.worlds import World, a_user

__all__ = ["cloud"]


def _at_once(times: int, ask: Callable[[], int]) -> list[int]:
    statuses = list[int]()
    threads = [threading.Thread(target=lambda: statuses.append(ask())) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(statuses)


def test_a_passcode_is_good_once_however_many_show_it_at_once(cloud: World) -> None:
    with_seed(cloud)
    shown = code()

    statuses = _at_once(5, lambda: log_in(cloud, "totp", shown=shown).status_code)

    assert statuses == [201, 401, 401, 401, 401]


def test_uses_of_a_trust_are_counted_however_many_ask_at_once(cloud: World) -> None:
    trust = a_trust(cloud, a_user(cloud, "eve"), remaining_uses=2)

    assert _at_once(5, lambda: use(cloud, trust).status_code) == [201, 201, 401, 401, 401]


def test_trusts_end_with_what_they_came_from(cloud: World) -> None:
    first = a_trust(cloud, a_user(cloud, "eve"), allow_redelegation=True)
    second = a_trust(cloud, a_user(cloud, "bob"), as_={"x-auth-token": token_of_trust(cloud, first)})
    token = token_of_trust(cloud, second, "bob")

    cloud.http.delete(f"/v3/OS-TRUST/trusts/{first['id']}", headers=cloud.as_("demo"))

    assert cloud.validate(token).status_code == 404 and cloud.get("/v3/OS-TRUST/trusts", cloud.as_())["trusts"] == []


def test_application_credentials_share_rules_and_leave_them(cloud: World) -> None:
    rules = [{"service": "identity", "method": "GET", "path": "/v3/**"}]
    one, other = (a_credential(cloud, name, access_rules=rules) for name in ("one", "other"))
    own = f"/v3/users/{one['user_id']}"

    assert log_in_by_secret(cloud, one["id"], one["secret"]).status_code == 201
    for credential in (one, other):
        path = f"{own}/application_credentials/{credential['id']}"
        assert cloud.http.delete(path, headers=cloud.as_("demo")).status_code == 204
    [rule] = cloud.get(f"{own}/access_rules", cloud.as_("demo"))["access_rules"]
    assert cloud.http.delete(f"{own}/access_rules/{rule['id']}", headers=cloud.as_("demo")).status_code == 204


def test_a_signed_request_is_recognised(cloud: World) -> None:
    answer = cloud.http.post("/v3/ec2tokens", headers=cloud.as_(), json=signed_with(a_pair(cloud)))

    assert answer.status_code == 200 and answer.json()["token"]["user"]["name"] == "demo"


@pytest.mark.parametrize("bus", ["bus", "no bus"])
@pytest.mark.parametrize("kind", ["application credential", "trust"])
def test_k2_what_was_delegated_ends_in_other_services(world: World, kind: str, bus: str) -> None:
    with next_to(world) as surroundings:
        heard = surroundings if bus == "bus" else replace(surroundings, bus=DeafBus())
        verifier, refresher = verifier_for(heard)
        refresher.start()
        if kind == "trust":
            trust = a_trust(world, a_user(world, "eve"))
            token, path = token_of_trust(world, trust), f"/v3/OS-TRUST/trusts/{trust['id']}"
        else:
            credential = a_credential(world)
            path = f"/v3/users/{credential['user_id']}/application_credentials/{credential['id']}"
            token = token_of_credential(world, credential)
        verifier.verify(token)
        demo = world.as_("demo")

        world.http.delete(path, headers=demo)

        until(lambda: _refused(verifier, token), what="the end of the token")
        refresher.stop()
