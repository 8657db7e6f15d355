"""Every route says which rules guard it and which body it takes, and every rule guards something."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from common.http.operations import Operation, actions_of, needs_token, operation_of, rules_of
from services.compute.api.policy import RULES as COMPUTE_RULES
from services.compute.api.routes import ROUTERS as COMPUTE
from services.identity.api import ROUTERS as IDENTITY
from services.identity.api import RULES as IDENTITY_RULES
from services.image.api.policy import RULES as IMAGE_RULES
from services.image.api.routes import ROUTERS as IMAGE

SERVICES: Mapping[str, tuple[Sequence[APIRouter], Mapping[str, str]]] = {
    "identity": (IDENTITY, IDENTITY_RULES),
    "image": (IMAGE, IMAGE_RULES),
    "compute": (COMPUTE, COMPUTE_RULES),
}


def routes() -> Iterator[tuple[str, APIRoute]]:
    for service, (routers, _) in SERVICES.items():
        for router in routers:
            yield from ((service, route) for route in router.routes if isinstance(route, APIRoute))


FOR_PROCESSES_TOO = "/v3/OS-REVOKE/events"  # which prove themselves by the cloud's secret, and people by a token
ASKED_BETWEEN = {"see_every_image"}  # which images there are for somebody, whatever is done to them

EACH = pytest.mark.parametrize(
    ("service", "route"),
    [pytest.param(*one, id=f"{sorted(one[1].methods or ())[0]} /{one[0]}{one[1].path}") for one in routes()],
)


def declared(route: APIRoute) -> Operation:
    found = operation_of(route)
    assert found is not None, "it declares nothing: see docs/guide/add-an-endpoint.md"
    return found


@EACH
def test_each_route_declares_rules_that_exist(service: str, route: APIRoute) -> None:
    known = SERVICES[service][1]

    assert [rule for rule in rules_of(declared(route)) if rule not in known] == []


@EACH
def test_a_rule_is_asked_only_of_somebody_known(service: str, route: APIRoute) -> None:
    assert needs_token(route) or route.path == FOR_PROCESSES_TOO or not list(rules_of(declared(route)))


@EACH
def test_a_route_that_reads_a_body_says_which(service: str, route: APIRoute) -> None:
    reads = any(name == "body" for name in inspect.signature(route.endpoint).parameters)
    said = declared(route)

    assert not reads or said.takes is not None or said.actions


@EACH
def test_each_action_names_its_rule(service: str, route: APIRoute) -> None:
    assert [name for name, one in actions_of(declared(route)) if not one.rules] == []


@pytest.mark.parametrize("service", SERVICES)
def test_each_rule_guards_a_route_or_is_a_part_of_one_that_does(service: str) -> None:
    rules = SERVICES[service][1]
    operations = {rule for rule in rules if ":" in rule or service == "image"}  # the others are what these are made of
    used = {rule for owner, route in routes() if owner == service for rule in rules_of(declared(route))}
    parts = {word.strip("()")[5:] for text in rules.values() for word in text.split() if "rule:" in word}

    assert sorted(operations - used - parts - ASKED_BETWEEN) == []
