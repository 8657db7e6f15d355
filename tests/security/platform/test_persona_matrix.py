"""Every kind of user at every operation of a running cloud: what the policy table says is what happens.

What is refused is tried at things that exist, one's own and another's; what is allowed and would change something is tried at
things that do not, so that the walk leaves the cloud as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import orjson
import pytest
from fastapi.routing import APIRoute

from common.http.operations import Operation, operation_of, rules_of
from docs.personas import FORBIDDEN, HIDDEN, OTHER, OWN, PERSONAS, SERVICES, YES, Doing, doings, policies, verdict
from tests.security.platform.bodies import PLAUSIBLE
from tests.security.platform.people import NEWEST, PATCH, Person, Town, microversion

POLICIES = policies()
READS = frozenset(("GET", "HEAD"))
OLDEST = "2.1"
KEYPAIR = {"keypair": {"name": "k", "public_key": "ssh-ed25519 AAAA", "type": "ssh"}}  # one's own
MORE_IDS = {"section": "identity", "option": "driver"}
ELSEWISE = {  # where more than a rule decides, as in OpenStack
    ("no role", "GET /identity/v3/auth/catalog"): 403,  # a token without a scope has no catalog
}


def token(town: Town, user: str, password: str, scope: Any) -> str:
    named = {"id": user, "password": password}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": named}}, "scope": scope}
    answer = town.http.post("/identity/v3/auth/tokens", json={"auth": auth})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["x-subject-token"])


@pytest.fixture(scope="module")
def people(town: Town) -> Mapping[str, Person]:
    """One of each kind, with one token each; those of projects are in one and the same."""
    admin = town.admin
    roles = {one["name"]: one["id"] for one in admin.ask("GET", "/identity/v3/roles").json()["roles"]}
    project = admin.made("/identity/v3/projects", {"project": {"name": f"matrix-{uuid4().hex[:8]}"}})["id"]
    scopes = {
        "project": {"project": {"id": project}},
        "domain": {"domain": {"id": "default"}},
        "system": {"system": {"all": True}},
    }
    wheres = {"project": f"projects/{project}", "domain": "domains/default", "system": "system"}
    found = {}
    for name, caller in PERSONAS.items():
        password = uuid4().hex
        user = admin.made("/identity/v3/users", {"user": {"name": f"{name}-{uuid4().hex[:8]}", "password": password}})[
            "id"
        ]
        where = "system" if caller.is_system else "domain" if caller.domain_id else "project"
        scope: Any = scopes[where] if caller.roles else "unscoped"
        if caller.roles:
            role = next(one for one in ("service", "admin", "manager", "member", "reader") if one in caller.roles)
            given = admin.ask("PUT", f"/identity/v3/{wheres[where]}/users/{user}/roles/{roles[role]}")
            assert given.status_code == 204, given.text
        found[name] = Person(town.http, name, password, "matrix", project, token(town, user, password, scope), user)
    return found


@pytest.fixture(scope="module")
def things(town: Town, people: Mapping[str, Person]) -> Mapping[str, Mapping[str, str]]:
    """Of the project that everybody is in, and of a stranger."""
    return {OWN: of(people["project member"]), OTHER: of(town.stranger())}


def of(person: Person) -> dict[str, str]:
    image, _ = person.image(b"\0" * 4096, disk_format="raw")
    server = person.boot(metadata={"key": "value"}, tags=["tag"])
    return {
        "server_id": server["id"],
        "image_id": image["id"],
        "project_id": person.project_id,
        "user_id": person.user_id,
    }


def ask(person: Person, doing: Doing, ids: Mapping[str, str], version: str = NEWEST) -> int:
    path = f"/{doing.service}{doing.path}"
    for name in doing.parameters:
        path = path.replace(f"{{{name}}}", ids.get(name) or MORE_IDS.get(name) or uuid4().hex)
    body = {doing.action: None} if doing.action else PLAUSIBLE.get((doing.method, doing.path), {})
    if doing.path == "/v2.1/os-keypairs":
        body = KEYPAIR
    kind = PATCH if doing.service == "image" and doing.method == "PATCH" else "application/json"
    if doing.path.endswith(("/file", "/stage")):
        kind = "application/octet-stream"
    headers = {"content-type": kind, **microversion(version)}
    content = None if doing.method in READS else orjson.dumps(body)
    return person.ask(doing.method, path, content=content, headers=headers).status_code


def walked(doing: Doing, name: str) -> bool:
    """Of identity, what depends on whose the thing is, is walked by identity's own tests."""
    own, other = (verdict(POLICIES[doing.service], doing, PERSONAS[name], whose) for whose in (OWN, OTHER))
    return doing.service != "identity" or own == other


def surprise(
    doing: Doing, name: str, whose: str, person: Person, things: Mapping[str, Mapping[str, str]]
) -> str | None:
    said = verdict(POLICIES[doing.service], doing, PERSONAS[name], whose)
    harmless = doing.method in READS or said != YES
    ids = dict(things[whose]) if harmless else {}
    if whose == OWN and "user_id" in ids and doing.service == "identity":
        ids["user_id"] = person.user_id
    status = ask(person, doing, ids)
    if status == 404 and said == FORBIDDEN and doing.service == "compute":
        status = ask(person, doing, ids, OLDEST)  # an operation that is no more
    if status == 404 and said == FORBIDDEN and doing.parameters - set(ids) - set(MORE_IDS):
        return None  # what is not there may be missed before anybody asks who looks
    if status == ELSEWISE.get((name, str(doing))):
        return None
    fine = {YES: status not in (401, 403, 500), FORBIDDEN: status == 403, HIDDEN: status == 404}[said]
    if not fine and said != YES and status == 400 and doing.method not in READS:
        fine = True  # the body or the version is looked at first
    return None if fine and status < 500 else f"{name} at {doing} of {whose}: {status}, the table says {said}"


def test_what_the_table_says_is_what_happens(
    people: Mapping[str, Person], things: Mapping[str, Mapping[str, str]]
) -> None:
    tried = [
        (doing, name, whose) for doing in doings() for name in PERSONAS if walked(doing, name) for whose in (OWN, OTHER)
    ]

    with ThreadPoolExecutor(4) as threads:
        told = threads.map(lambda one: surprise(one[0], one[1], one[2], people[one[1]], things), tried)

    assert len(tried) > 2000
    found = [one for one in told if one]
    assert found == [], "\n".join(found)


ANSWERED = re.compile(r"answered +service=(\w+) method=(\w+) path=([\w/.-]+) .*?rules=(\S+)$", re.MULTILINE)
ASKED_BETWEEN = {"see_every_image", "cloud_reader"}  # whose images, or which domain's things, somebody sees at all


def test_what_a_route_asks_is_what_it_declares(
    town: Town, people: Mapping[str, Person], things: Mapping[str, Mapping[str, str]]
) -> None:
    """The log tells which rules each answer asked; everything above and what other tests did is in it."""
    log = (town.cloud.data / "pileus.log").read_text()
    asked = {found.groups() for found in ANSWERED.finditer(log)}

    assert len(asked) > 10
    strange = [f"{method} /{service}{path} asks {unsaid}" for service, method, path, rules in asked
               if (unsaid := set(rules.split(",")) - declared_at(service, method, path) - ASKED_BETWEEN)]  # fmt: skip
    assert strange == [], "\n".join(sorted(strange))


def declared_at(service: str, method: str, path: str) -> set[str]:
    """The rules of every route that this path may mean."""
    found: set[str] = set()
    for router in SERVICES[service][0]:
        for route in router.routes:
            if isinstance(route, APIRoute) and method in (route.methods or ()) and route.path_regex.fullmatch(path):
                found |= set(rules_of(operation_of(route) or Operation()))
    return found
