"""Who holds how much of which provider.  What servers hold is shown here, and only the scheduler changes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import Response

from common.clock import utc_now
from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.operations import operation
from services.compute.api.placement.asking import Body, Version, answer, between, nothing, read, router
from services.compute.api.placement.kit import KitOf
from services.compute.api.placement.providers import PATH
from services.compute.api.placement.schemas import (
    Allocations,
    ErasableAllocations,
    ListedAllocations,
    MappedAllocations,
    OwnedListedAllocations,
    SeenAllocations,
    Strict,
    TypedAllocations,
)
from services.compute.api.placement.usages import UNKNOWN
from services.compute.db.placement_allocations import Holding

routes = router()
ONE = "/allocations/{consumer_id}"
OWNER_SINCE, GENERATION_SINCE, KIND_SINCE = 12, 28, 38
# fmt: off
BODIES: tuple[tuple[int, type[Strict]], ...] = (  # newest first: since which version, what a PUT takes
    (38, TypedAllocations), (34, MappedAllocations), (28, SeenAllocations), (12, Allocations),
    (8, OwnedListedAllocations), (0, ListedAllocations),
)
# fmt: on


@routes.get(ONE)
@operation("placement:allocations:list")
def list_allocations(consumer_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """What a consumer holds; one that nobody knows holds nothing."""
    kit.must("allocations:list", caller)
    with kit.reading() as tx:
        consumer = tx.allocations.consumer(consumer_id)
        rows = tx.allocations.of_consumer(consumer.id) if consumer else ()
    found: dict[str, Any] = {}
    for row in rows:
        one = found.setdefault(str(row.provider_id), {"resources": {}, "generation": row.generation})
        one["resources"][row.resource_class] = row.used
    told: dict[str, Any] = {"allocations": found}
    if consumer is not None and version >= OWNER_SINCE:
        told |= {"project_id": consumer.project_id, "user_id": consumer.user_id}
        told |= {"consumer_generation": consumer.generation} if version >= GENERATION_SINCE else {}
        told |= {"consumer_type": consumer.kind or UNKNOWN} if version >= KIND_SINCE else {}
    return answer(told, version, modified=max((row.created_at for row in rows), default=None))


@routes.get(f"{PATH}/allocations")
@operation("placement:resource_providers:allocations:list")
def list_allocations_of_provider(provider_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_providers:allocations:list", caller)
    with kit.reading() as tx:
        provider = tx.providers.find(provider_id)
        rows = tx.allocations.of_provider(provider.id)
    found: dict[str, Any] = {}
    for row in rows:
        one = found.setdefault(str(row.consumer_id), {"resources": {}})
        one["resources"][row.resource_class] = row.used
        if version >= GENERATION_SINCE:
            one["consumer_generation"] = row.generation
    told = {"allocations": found, "resource_provider_generation": provider.generation}
    return answer(told, version, modified=max((row.created_at for row in rows), default=None))


@routes.put(ONE)
@operation("placement:allocations:update", takes=TypedAllocations)
def replace_allocations(consumer_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """This and nothing else is held by the consumer from now on."""
    kit.must("allocations:update", caller)
    try:
        known = UUID(consumer_id)
    except ValueError as error:
        raise InvalidInput(f"Malformed consumer_uuid: {consumer_id[:64]}") from error
    asked = read(next(model for since, model in BODIES if version >= since), body)
    with kit.transaction() as tx:
        tx.allocations.replace([_holding(known, asked)], at=utc_now())
    return nothing(version)


@routes.delete(ONE)
@operation("placement:allocations:delete")
def delete_allocations(consumer_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("allocations:delete", caller)
    with kit.transaction() as tx:
        tx.allocations.remove(consumer_id)
    return nothing(version)


@routes.post("/allocations", dependencies=[between(13)])
@operation("placement:allocations:manage", takes=ErasableAllocations)
def replace_many_allocations(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Consumer -> what it holds from now on: of all of them, or of none."""
    kit.must("allocations:manage", caller)
    if isinstance(body, dict) and not body:
        raise InvalidInput("JSON does not validate: {} does not have enough properties")
    holdings = holdings_of(body, version)
    with kit.transaction() as tx:
        tx.allocations.replace(holdings, at=utc_now())
    return nothing(version)


def holdings_of(body: Any, version: int) -> list[Holding]:
    """InvalidInput"""
    if not isinstance(body, dict):
        raise InvalidInput(f"JSON does not validate: {body!r:.64} is not of type 'object'")
    model = next(model for since, model in BODIES if version >= since)
    return [
        _holding(_key(consumer), read(ErasableAllocations if model is Allocations else model, one))
        for consumer, one in body.items()
    ]


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidInput(f"JSON does not validate: {text[:64]!r} does not match any of the regexes") from error


def _holding(consumer_id: UUID, asked: Strict) -> Holding:
    given: dict[str, Any] = {}
    if isinstance(asked, OwnedListedAllocations | Allocations):
        given |= {"project_id": asked.project_id, "user_id": asked.user_id}
    if isinstance(asked, SeenAllocations):
        given |= {"seen": asked.consumer_generation}
    if isinstance(asked, TypedAllocations):
        given |= {"kind": asked.consumer_type}
    return Holding(consumer_id=consumer_id, amounts=_amounts(asked), **given)


def _amounts(asked: Strict) -> dict[UUID, Mapping[str, int]]:
    if isinstance(asked, ListedAllocations):
        return {UUID(one.resource_provider.uuid): one.resources for one in asked.allocations}
    assert isinstance(asked, Allocations)
    return {_provider(provider): part.resources for provider, part in asked.allocations.items()}


def _provider(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidInput(f"Allocation for resource provider '{text}' that does not exist.") from error
