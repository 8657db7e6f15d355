"""Every route says which rules guard it and which body it takes, and every rule guards something."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from common.http.operations import Operation, actions_of, needs_token, operation_of, rules_of
from services.compute.api.placement.policy import RULES as PLACEMENT_RULES
from services.compute.api.placement.routes import ROUTERS as PLACEMENT
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
    "placement": (PLACEMENT, PLACEMENT_RULES),
}


def routes() -> Iterator[tuple[str, APIRoute]]:
    for service, (routers, _) in SERVICES.items():
        for router in routers:
            yield from ((service, route) for route in router.routes if isinstance(route, APIRoute))


FOR_PROCESSES_TOO = "/v3/OS-REVOKE/events"  # which prove themselves by the cloud's secret, and people by a token
ASKED_BETWEEN = {"see_every_image"}  # which images there are for somebody, whatever is done to them

EACH = pytest.mark.parametrize("service", SERVICES)


def named(route: APIRoute) -> str:
    return f"{sorted(route.methods or ())[0]} {route.path}"


def declared(route: APIRoute) -> Operation:
    found = operation_of(route)
    assert found is not None, f"{named(route)} declares nothing: see docs/guide/add-an-endpoint.md"
    return found


def those(service: str, is_wrong: Callable[[APIRoute], object]) -> list[str]:
    return [named(route) for owner, route in routes() if owner == service and is_wrong(route)]


@EACH
def test_each_route_declares_rules_that_exist(service: str) -> None:
    known = SERVICES[service][1]

    assert those(service, lambda route: [rule for rule in rules_of(declared(route)) if rule not in known]) == []


@EACH
def test_a_rule_is_asked_only_of_somebody_known(service: str) -> None:
    def asks_strangers(route: APIRoute) -> bool:
        return not needs_token(route) and route.path != FOR_PROCESSES_TOO and bool(list(rules_of(declared(route))))

    assert those(service, asks_strangers) == []


@EACH
def test_a_route_that_reads_a_body_says_which(service: str) -> None:
    def is_silent(route: APIRoute) -> bool:
        reads, said = "body" in inspect.signature(route.endpoint).parameters, declared(route)
        return reads and said.takes is None and not said.actions

    assert those(service, is_silent) == []


@EACH
def test_each_action_names_its_rule(service: str) -> None:
    assert those(service, lambda route: [name for name, one in actions_of(declared(route)) if not one.rules]) == []


@EACH
def test_each_rule_guards_a_route_or_is_a_part_of_one_that_does(service: str) -> None:
    rules = SERVICES[service][1]
    operations = {rule for rule in rules if ":" in rule or service == "image"}  # the others are what these are made of
    used = {rule for owner, route in routes() if owner == service for rule in rules_of(declared(route))}
    parts = {word.strip("()")[5:] for text in rules.values() for word in text.split() if "rule:" in word}

    assert sorted(operations - used - parts - ASKED_BETWEEN) == []
