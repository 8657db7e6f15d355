"""What was taken back is refused by every service at once, in separate processes, with and without the bus (K2).

How soon that was is in the log: mostly far below a second, but a machine that does much besides may take longer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT
from tests.harness.clouds import Cloud, run
from tests.harness.waiting import until
from tests.security.platform.people import Person, Town, town_of

log = logging.getLogger(__name__)

WITHIN_S = 8.0  # a service that misses the news of the bus asks by itself every ten
TOKENS = "/identity/v3/auth/tokens"
ASKED = {
    "identity": "/identity/v3/auth/catalog",
    "compute": "/compute/v2.1/servers",
    "image": "/image/v2/images?limit=1",
}


pytestmark = pytest.mark.parametrize("cloud", ["distributed"], indirect=True, scope="session")


@pytest.fixture(scope="module")
def town(cloud: Cloud) -> Iterator[Town]:
    with town_of(cloud) as town:
        yield town


@pytest.fixture(scope="module", params=["by the bus", "while the bus is away"])
def way(request: pytest.FixtureRequest, town: Town) -> Iterator[str]:
    """How services learn of it."""
    if request.param == "by the bus":
        yield request.param
        return
    broker(town, "stop")
    yield request.param
    broker(town, "start")


def broker(town: Town, verb: str) -> None:
    run(str(ROOT / "deploy/dev/rabbitmq.sh"), verb, str(town.cloud.data / "rabbitmq"))


@dataclass
class Victim:
    """Somebody whose token ends, and what it hangs on."""

    person: Person
    token: str
    credential_id: str = ""


def signed_in(town: Town) -> Victim:
    person = town.stranger()
    return Victim(person, person.token)


def by_credential(town: Town) -> Victim:
    person = town.stranger()
    path = f"/identity/v3/users/{person.user_id}/application_credentials"
    made = person.made(path, {"application_credential": {"name": "robot"}})
    shown = {"id": made["id"], "secret": made["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": shown}
    return Victim(person, issued(town, {"identity": identity}), made["id"])


def issued(town: Town, auth: dict[str, Any]) -> str:
    answer = town.http.post(TOKENS, json={"auth": auth})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["x-subject-token"])


def user(town: Town, victim: Victim, **changes: object) -> httpx.Response:
    return town.admin.ask("PATCH", f"/identity/v3/users/{victim.person.user_id}", json={"user": changes})


def role_removed(town: Town, victim: Victim) -> httpx.Response:
    place = f"/identity/v3/projects/{victim.person.project_id}/users/{victim.person.user_id}"
    return town.admin.ask("DELETE", f"{place}/roles/{town.member_role}")


def project_disabled(town: Town, victim: Victim) -> httpx.Response:
    body = {"project": {"enabled": False}}
    return town.admin.ask("PATCH", f"/identity/v3/projects/{victim.person.project_id}", json=body)


def password_changed(town: Town, victim: Victim) -> httpx.Response:
    body = {"user": {"original_password": victim.person.password, "password": "another-one"}}
    return town.http.post(f"/identity/v3/users/{victim.person.user_id}/password", json=body)


def credential_deleted(town: Town, victim: Victim) -> httpx.Response:
    path = f"/identity/v3/users/{victim.person.user_id}/application_credentials/{victim.credential_id}"
    return victim.person.ask("DELETE", path)


def token_revoked(town: Town, victim: Victim) -> httpx.Response:
    return victim.person.ask("DELETE", TOKENS, headers={"x-subject-token": victim.token})


# fmt: off
ENDS: dict[str, tuple[Callable[[Town], Victim], Callable[[Town, Victim], httpx.Response]]] = {
    "token revoked":                   (signed_in, token_revoked),
    "role removed":                    (signed_in, role_removed),
    "user disabled":                   (signed_in, lambda town, victim: user(town, victim, enabled=False)),
    "user deleted":                    (signed_in, lambda town, victim: town.admin.ask(
                                            "DELETE", f"/identity/v3/users/{victim.person.user_id}")),
    "project disabled":                (signed_in, project_disabled),
    "password changed by its owner":   (signed_in, password_changed),
    "password reset":                  (signed_in, lambda town, victim: user(town, victim, password="another-one")),
    "application credential deleted":  (by_credential, credential_deleted),
}
# fmt: on


@pytest.mark.parametrize("what", ENDS)
def test_k2_what_ended_is_refused_everywhere(town: Town, way: str, what: str) -> None:
    begin, end = ENDS[what]
    victim = begin(town)
    assert {name: status(town, name, victim.token) for name in ASKED} == dict.fromkeys(ASKED, 200)

    answer = end(town, victim)
    ended_at = time.monotonic()

    assert answer.status_code in (200, 204), answer.text
    with ThreadPoolExecutor(len(ASKED)) as threads:
        waits = {name: threads.submit(refused_after_s, town, name, victim.token, ended_at) for name in ASKED}
        taken = {name: wait.result() for name, wait in waits.items()}
    log.info("%s, %s: %s", what, way, {name: round(seconds, 3) for name, seconds in taken.items()})
    assert max(taken.values()) < WITHIN_S, taken


def refused_after_s(town: Town, service: str, token: str, since: float) -> float:
    until(lambda: status(town, service, token) == 401, every_s=0.005, what=f"the refusal by {service}")
    return time.monotonic() - since


def status(town: Town, service: str, token: str) -> int:
    return town.http.get(ASKED[service], headers={"x-auth-token": token}).status_code
