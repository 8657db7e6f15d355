"""Which sets of providers one belongs to; a set is known by its id alone."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from fastapi import Response
from pydantic import RootModel

from common.errors import InvalidInput, StaleGeneration
from common.http.identity import Caller
from common.http.operations import operation
from services.compute.api.placement.asking import Body, Version, answer, between, read, router
from services.compute.api.placement.kit import KitOf
from services.compute.api.placement.providers import PATH
from services.compute.api.placement.schemas import Aggregates, Id
from services.compute.db.placement_tables import ProviderRow

routes = router()
AGGREGATES = f"{PATH}/aggregates"
GENERATION_SINCE = 19


class PlainAggregates(RootModel[list[Id]]):
    """Until 1.18."""


@routes.get(AGGREGATES, dependencies=[between(1)])
@operation("placement:resource_providers:aggregates:list")
def list_aggregates(provider_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_providers:aggregates:list", caller)
    with kit.reading() as tx:
        row = tx.providers.find(provider_id)
        return _shown(tx.providers.aggregates(row.id), row, version)


@routes.put(AGGREGATES, dependencies=[between(1)])
@operation("placement:resource_providers:aggregates:update", takes=Aggregates)
def replace_aggregates(provider_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """These and no others; since 1.19 the generation must be the newest, and moves on."""
    kit.must("resource_providers:aggregates:update", caller)
    with kit.transaction() as tx:
        row = tx.providers.find(provider_id, lock=True)
        if version < GENERATION_SINCE:
            plain = _ids(read(PlainAggregates, body).root)
            tx.providers.set_aggregates(row, plain)
            return _shown(plain, row, version)
        asked = read(Aggregates, body)
        ids = _ids(asked.aggregates)
        if asked.resource_provider_generation != row.generation:
            raise StaleGeneration(
                "Resource provider's generation already changed. Please update the generation and try again."
            )
        tx.providers.set_aggregates(row, ids)
        tx.providers.move_on(row)
        return _shown(ids, row, version)


def _ids(given: list[str]) -> list[UUID]:
    if len(set(given)) < len(given):
        raise InvalidInput(f"JSON does not validate: {given!r:.255} has non-unique elements")
    return [UUID(one) for one in given]


def _shown(ids: Sequence[UUID], row: ProviderRow, version: int) -> Response:
    aggregates = {"aggregates": [str(one) for one in ids]}
    generation = {"resource_provider_generation": row.generation} if version >= GENERATION_SINCE else {}
    return answer(aggregates | generation, version)
