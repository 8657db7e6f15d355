"""Move what providers have, and what consumers hold of it, in one step."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from common.clock import utc_now
from common.errors import InvalidInput, StaleGeneration
from common.http.identity import Caller
from common.http.operations import operation
from services.compute.api.placement.allocations import holdings_of
from services.compute.api.placement.asking import Body, Version, between, nothing, read, router
from services.compute.api.placement.kit import KitOf, Tx
from services.compute.api.placement.schemas import AllInventories, Reshaping
from services.compute.core.placement_faults import ProviderUnknown
from services.compute.db.placement_tables import ProviderRow

routes = router()


@routes.post("/reshaper", dependencies=[between(30)])
@operation("placement:reshaper:reshape", takes=Reshaping)
def reshape(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Nothing may go that is held, and nothing be held that is not there: so all first gain, then change hands, then lose."""
    kit.must("reshaper:reshape", caller)
    asked = read(Reshaping, body)
    holdings = holdings_of(asked.allocations, version)
    with kit.transaction() as tx:
        rows = _seen(tx, asked)
        _must_be_known(tx, asked)
        for provider, wanted in asked.inventories.items():
            for name, numbers in wanted.inventories.items():
                tx.inventories.put(rows[provider].id, name, numbers.model_dump())
            if wanted.inventories:
                tx.providers.move_on(rows[provider])
        if holdings:
            tx.allocations.replace(holdings, at=utc_now())
        for provider, wanted in asked.inventories.items():
            tx.inventories.replace(rows[provider].id, _numbers(wanted))
            tx.providers.move_on(rows[provider])
    return nothing(version)


def _seen(tx: Tx, asked: Reshaping) -> dict[str, ProviderRow]:
    """The providers, locked.  ProviderUnknown, StaleGeneration"""
    known = tx.providers.of_ids([UUID(one) for one in asked.inventories if _is_id(one)], lock=True)
    rows = {}
    for provider, wanted in asked.inventories.items():
        row = known.get(UUID(provider)) if _is_id(provider) else None
        if row is None:
            raise ProviderUnknown(
                f"Resource provider {provider} in inventories not found: No resource provider with uuid {provider} found"
            )
        if wanted.resource_provider_generation != row.generation:
            raise StaleGeneration(
                f"resource provider generation conflict for provider {provider}: actual: {row.generation}, "
                f"given: {wanted.resource_provider_generation}"
            )
        rows[provider] = row
    return rows


def _is_id(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False


def _must_be_known(tx: Tx, asked: Reshaping) -> None:
    names = [name for wanted in asked.inventories.values() for name in wanted.inventories]
    if (unknown := tx.classes.unknown(names)) is not None:
        raise InvalidInput(f"malformed reshaper data: No such resource class {unknown}.")


def _numbers(wanted: AllInventories) -> dict[str, dict[str, int | float]]:
    return {name: one.model_dump() for name, one in wanted.inventories.items()}
