"""What acts in a user's name, in each running service: access rules hold, and a service's own token vouches for a user's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from common.auth.callers import Caller
from common.auth.tokens import read_token, sign
from common.db.database import Database
from services.identity.core.keys import Seal, public_key
from services.identity.db.tables import SigningKey
from tests.security.platform.people import NEWEST, Person, Town, microversion, settings_of, sign_in

ALLOWED = {
    "identity": ("GET", "/identity/v3/auth/projects"),
    "compute": ("GET", "/compute/v2.1/servers"),
    "image": ("GET", "/image/v2/images"),
}
RULES = [
    {"service": service, "method": method, "path": path.removeprefix(f"/{service}")}
    for service, (method, path) in ALLOWED.items()
]
REFUSED = {
    "identity": [("GET", "/identity/v3/auth/catalog"), ("HEAD", "/identity/v3/auth/projects")],
    "compute": [
        ("GET", "/compute/v2.1/flavors"),
        ("GET", "/compute/v2.1/servers/detail"),
        ("POST", "/compute/v2.1/servers"),
    ],
    "image": [("GET", "/image/v2/schemas/image"), ("POST", "/image/v2/images"), ("GET", "/image/v2/images/x")],
}


def bound(town: Town, person: Person, *rules: dict[str, str]) -> dict[str, str]:
    """The headers of a program that may make only these requests in the person's name."""
    path = f"/identity/v3/users/{person.user_id}/application_credentials"
    wanted: dict[str, Any] = {"name": f"robot-{uuid4().hex[:8]}", "access_rules": list(rules)}
    made = person.made(path, {"application_credential": wanted})
    shown = {"id": made["id"], "secret": made["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": shown}
    answer = town.http.post("/identity/v3/auth/tokens", json={"auth": {"identity": identity}})
    assert answer.status_code == 201, answer.text
    return {"x-auth-token": answer.headers["x-subject-token"]}


@pytest.mark.parametrize("service", ALLOWED)
def test_each_service_lets_pass_what_the_access_rules_name_and_nothing_else(
    town: Town, alice: Person, service: str
) -> None:
    robot = bound(town, alice, *RULES)

    allowed = town.http.request(*ALLOWED[service], headers=robot)
    refused = [town.http.request(*one, headers=robot) for one in REFUSED[service]]

    assert allowed.status_code == 200
    assert [one.status_code for one in refused] == [401] * len(refused)


def test_what_a_service_asks_for_the_user_needs_no_access_rule(town: Town, alice: Person) -> None:
    rule = {"service": "compute", "method": "POST", "path": "/v2.1/servers"}
    robot = bound(town, alice, rule)

    answer = town.http.post("/compute/v2.1/servers", json=alice.order(), headers=robot | microversion(NEWEST))

    assert answer.status_code == 202, answer.text  # compute asked image for the image
    server = answer.json()["server"]["id"]
    assert alice.settled(server)["status"] == "ACTIVE"
    assert alice.ask("DELETE", f"/compute/v2.1/servers/{server}").status_code == 204


@pytest.fixture(scope="module")
def ended(town: Town) -> Callable[[Person, timedelta], str]:
    """A person's token that ended so long ago, made with the cloud's own key."""
    database = Database(settings_of(town.cloud)["identity"]["database_url"])
    with database.reading() as session:
        [key] = session.query(SigningKey).filter(SigningKey.retired_at.is_(None)).all()
    database.close()
    private = Seal(settings_of(town.cloud)["platform"]["bus_key"]).opened(key.sealed)
    assert private is not None

    def made(person: Person, ago: timedelta) -> str:
        fresh: Caller = read_token(sign_in(person.http, person.name, person.password, person.project)
                                   .headers["x-subject-token"], {key.id: public_key(key.public)})  # fmt: skip
        return sign(replace(fresh, expires_at=datetime.now(UTC) - ago), key=private, key_id=key.id)

    return made


@pytest.fixture(scope="module")
def of_a_service(town: Town) -> str:
    password = settings_of(town.cloud)["compute"]["service_password"]
    return str(sign_in(town.http, "compute", password, "service").headers["x-subject-token"])


@pytest.mark.parametrize("service", ALLOWED)
def test_each_service_takes_an_ended_token_beside_a_service_s_own_and_no_other(
    town: Town, alice: Person, bob: Person, service: str, ended: Callable[[Person, timedelta], str], of_a_service: str
) -> None:
    late, too_late = ended(alice, timedelta(hours=1)), ended(alice, timedelta(days=3))

    def status(token: str, *vouchers: str) -> int:
        headers = [("x-auth-token", token), *(("x-service-token", one) for one in vouchers)]
        return town.http.request(*ALLOWED[service], headers=headers).status_code

    assert status(late, of_a_service) == 200
    assert status(late) == status(too_late, of_a_service) == 401
    assert [status(late, one) for one in (bob.token, "nonsense", late)] == [401] * 3
    assert status(alice.token, bob.token) == status(late, of_a_service, of_a_service) == 401
