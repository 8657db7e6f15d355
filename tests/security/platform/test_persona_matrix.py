"""Every kind of user at every operation of a running cloud: what the policy table says is what happens.

What is refused is tried at things that exist, one's own and another's; what is allowed and would change something is tried at
things that do not, so that the walk leaves the cloud as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
import pytest
from fastapi.routing import APIRoute

from common.http.operations import Operation, operation_of, rules_of
from docs.personas import FORBIDDEN, HIDDEN, OTHER, OWN, PERSONAS, SERVICES, YES, Doing, doings, policies, verdict
from tests.security.platform.belongings import Estate, anew, elsewhere, estate, named
from tests.security.platform.bodies import ACTIONS, BODIES
from tests.security.platform.people import NEWEST, PATCH, Person, Town, microversion

POLICIES = policies()
READS = frozenset(("GET", "HEAD"))
OLDEST = "2.1"
KEYPAIR = {"keypair": {"name": "k", "public_key": "ssh-ed25519 AAAA", "type": "ssh"}}  # one's own
MORE_IDS = {"key": "k", "section": "identity", "option": "driver"}
COMPLIANCE = "GET /identity/v3/domains/{domain_id}/config/security_compliance"
ELSEWISE = {  # where more than a rule decides, as in OpenStack
    (OTHER, COMPLIANCE): 403,  # the rules for passwords are the cloud's: they are shown at the domain `default` alone
    (OTHER, COMPLIANCE + "/{option}"): 403,
    ("no role", "GET /identity/v3/auth/catalog"): 403,  # a token without a scope has no catalog
}


@pytest.fixture(scope="module")
def home(town: Town) -> Estate:
    return estate(town, "default")


@pytest.fixture(scope="module")
def people(home: Estate) -> Mapping[str, Person]:
    """One of each kind, with one token each; those of projects are in one and the same."""
    found = {}
    for name, caller in PERSONAS.items():
        where = "system" if caller.is_system else "domain" if caller.domain_id else "project"
        best = [one for one in ("service", "admin", "manager", "member", "reader") if one in caller.roles][:1]
        found[name] = home.person(*best, scope=where, name=name)
    return found


@pytest.fixture(scope="module")
def things(town: Town, home: Estate, people: Mapping[str, Person]) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Whose -> who looks -> what there is: the project that everybody is in, each one's own, and all of a stranger's."""
    far = elsewhere(town)
    stranger = far.person("member")
    others = far.of(stranger, "member") | built(stranger)
    ours = built(people["project member"])
    own = {name: home.of(person, role_on_project(name)) | ours for name, person in people.items()}
    return {OWN: own, OTHER: dict.fromkeys(people, others)}


def role_on_project(name: str) -> str:
    """One that the persona's user has there, whatever its token is for."""
    return "service" if name == "service" else "reader"


def built(person: Person) -> dict[str, str]:
    image, _ = person.image(b"\0" * 4096, disk_format="raw")
    server = person.boot(metadata={"key": "value"}, tags=["tag"])
    return {"server_id": server["id"], "image_id": image["id"]}


def ask(person: Person, doing: Doing, ids: Mapping[str, str], *, body: Any = None, version: str = NEWEST) -> int:
    path, known = f"/{doing.service}{doing.path}", named(ids, doing.path)
    for name in doing.parameters:
        path = path.replace(f"{{{name}}}", known.get(name) or MORE_IDS.get(name) or uuid4().hex)
    kind = PATCH if doing.service == "image" and doing.method == "PATCH" else "application/json"
    if doing.path.endswith(("/file", "/stage")):
        kind = "application/octet-stream"
    headers = {"content-type": kind, **microversion(version)}
    content = None if doing.method in READS else orjson.dumps(well_behaved(doing) if body is None else body)
    return person.ask(doing.method, path, content=content, headers=headers).status_code


def well_behaved(doing: Doing) -> Any:
    if doing.path == "/v2.1/os-keypairs":
        return KEYPAIR
    return {doing.action: ACTIONS.get(doing.action)} if doing.action else BODIES.get((doing.method, doing.path), {})


@dataclass(frozen=True)
class Cell:
    """One field of the table."""

    doing: Doing
    name: str
    whose: str

    @property
    def said(self) -> str:
        return self.said_of(self.whose)

    def said_of(self, whose: str) -> str:
        return verdict(POLICIES[self.doing.service], self.doing, PERSONAS[self.name], whose)

    @property
    def takes_body(self) -> bool:
        return (self.doing.method, self.doing.path) in BODIES

    def fits(self, status: int) -> bool:
        return {YES: status not in (401, 403) and status < 500, FORBIDDEN: status == 403, HIDDEN: status == 404}[
            self.said
        ]

    def __str__(self) -> str:
        return f"{self.name} at {self.doing} of {self.whose}"


def cells() -> Iterator[Cell]:
    """Each field once: what does not depend on whose the thing is, is tried at another's."""
    for doing in doings():
        for name in PERSONAS:
            own, other = Cell(doing, name, OWN), Cell(doing, name, OTHER)
            yield other
            if own.said != other.said or doing.service != "identity":
                yield own


@dataclass(frozen=True)
class Walk:
    """Everybody goes everywhere."""

    town: Town
    home: Estate
    people: Mapping[str, Person]
    things: Mapping[str, Mapping[str, Mapping[str, str]]]

    def surprise(self, cell: Cell) -> str | None:
        status = self._tried(cell)
        if cell.fits(status) or status in (ELSEWISE.get((who, str(cell.doing))) for who in (cell.name, cell.whose)):
            return None
        if status == 404 and cell.said == FORBIDDEN and self._may_be_missed(cell):
            return None
        return f"{cell}: {status}, the table says {cell.said}"

    def _tried(self, cell: Cell) -> int:
        person, ids, doing = self.people[cell.name], dict(self.things[cell.whose][cell.name]), cell.doing
        if cell.said != YES or doing.method in READS:
            status = ask(person, doing, ids)
            if doing.service == "compute" and cell.said == FORBIDDEN and status in (400, 404):
                return ask(person, doing, ids, version=OLDEST)  # an operation that is no more
            if doing.service == "identity" and cell.takes_body and cell.said == FORBIDDEN and status == 403:
                return ask(person, doing, ids, body=[])  # whoever may not is told so before the body is looked at
            return status
        if doing.service == "identity" and cell.takes_body:
            return ask(person, doing, ids, body=[])  # refused for its form, after the rule let it pass
        if cell.said_of(OTHER) == YES or doing.service != "identity":
            return ask(person, doing, {})  # there is nothing that it could change
        if doing.method == "DELETE" and (more := anew(self.town, self.home, person).get(doing.path)):
            return ask(person, doing, {**ids, **more()})
        if "{actor_id}" in doing.path:  # what one takes from oneself would be missing further on
            ids["user_id"] = self.home.shared["neighbour"]
        return ask(person, doing, ids | {"application_credential_id": "none", "rule_id": "none", "access": "none"})

    def _may_be_missed(self, cell: Cell) -> bool:
        """What is not there may be missed before anybody asks who looks; not in identity."""
        known = named(self.things[cell.whose][cell.name], cell.doing.path)
        return cell.doing.service != "identity" and bool(cell.doing.parameters - set(known) - set(MORE_IDS))


def test_what_the_table_says_is_what_happens(
    town: Town, home: Estate, people: Mapping[str, Person], things: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> None:
    walk, tried = Walk(town, home, people, things), list(cells())

    with ThreadPoolExecutor(4) as threads:
        found = [one for one in threads.map(walk.surprise, tried) if one]

    assert len(tried) > 2000
    assert found == [], "\n".join(found)


ANSWERED = re.compile(r"answered +service=(\w+) method=(\w+) path=([\w/.-]+) .*?rules=(\S+)$", re.MULTILINE)
ASKED_BETWEEN = {"see_every_image", "cloud_reader", "identity:get_trust"}  # whose things somebody sees at all


def test_what_a_route_asks_is_what_it_declares(town: Town, things: object) -> None:
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
