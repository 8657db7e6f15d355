"""A service that passes a user's token on, and keys that change under everybody's hands."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.identity.test_application_credentials import a_credential, token_of
from tests.unit.identity.worlds import World, scope_to


def _of_a_service(world: World) -> str:
    return world.log_in("compute-agent", "agent-secret", scope_to("service")).headers["x-subject-token"]


def _ended(world: World, *, ago: timedelta) -> str:
    caller = world.kit.verifier.verify(world.token("demo"))
    with world.kit.database.reading() as session:
        return world.kit.keyring.sign(session, replace(caller, expires_at=datetime.now(UTC) - ago))


def _status(world: World, token: str, service: str | None = None) -> int:
    headers = {"x-auth-token": token} | ({"x-service-token": service} if service else {})
    return world.http.get("/v3/auth/projects", headers=headers).status_code


@pytest.mark.parametrize(("hours", "status"), [(1, 200), (47, 200), (49, 401)])
def test_an_ended_token_is_good_beside_a_services_for_two_days(world: World, hours: int, status: int) -> None:
    token = _ended(world, ago=timedelta(hours=hours))

    assert _status(world, token) == 401 and _status(world, token, _of_a_service(world)) == status


def test_only_a_service_can_vouch(world: World) -> None:
    token = _ended(world, ago=timedelta(hours=1))

    assert [_status(world, token, other) for other in (world.token("demo"), "nonsense", token)] == [401] * 3
    assert _status(world, world.token("demo"), world.token("demo")) == 401


def test_a_revoked_token_stays_revoked_beside_a_services(world: World) -> None:
    token = world.token("demo")
    world.http.delete("/v3/auth/tokens", headers={"x-auth-token": token, "x-subject-token": token})

    assert _status(world, token, _of_a_service(world)) == 401


def test_access_rules_are_not_asked_again_when_a_service_passes_the_token_on(world: World) -> None:
    token = token_of(world, a_credential(world, access_rules=[{"service": "compute", "method": "GET", "path": "/**"}]))

    assert (_status(world, token), _status(world, token, _of_a_service(world))) == (401, 200)


def test_keys_change_without_a_single_failed_call(world: World) -> None:
    old, statuses, over = world.token("demo"), list[int](), threading.Event()

    def call() -> None:
        while not over.is_set():
            answer = world.log_in("demo", "demo-secret", scope_to("demo"))
            statuses.append(answer.status_code)
            statuses.extend(_status(world, token) for token in (old, answer.headers.get("x-subject-token", "")))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        world.kit.keyring.rotate()
    over.set()
    for thread in threads:
        thread.join()

    assert statuses and set(statuses) <= {200, 201}
