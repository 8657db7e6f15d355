"""What a provider has of each resource class."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import Response

from common.errors import InvalidInput, NotFound, StaleGeneration
from common.http.identity import Caller
from common.http.operations import operation
from services.compute.api.placement.asking import Body, Version, answer, nothing, read, router
from services.compute.api.placement.faults import WrongMethod
from services.compute.api.placement.kit import KitOf, Tx
from services.compute.api.placement.providers import PATH
from services.compute.api.placement.schemas import AllInventories, NewInventory, Numbers, OneInventory
from services.compute.db.placement_tables import InventoryRow, ProviderRow

routes = router()
ALL, ONE = f"{PATH}/inventories", f"{PATH}/inventories/{{resource_class}}"
FIELDS = ("total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio")
ALL_GONE_SINCE, FULL_RESERVE_SINCE = 5, 26


@routes.get(ALL)
@operation("placement:resource_providers:inventories:list")
def list_inventories(provider_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_providers:inventories:list", caller)
    with kit.reading() as tx:
        row = tx.providers.find(provider_id)
        return answer(_all_shown(tx, row), version)


@routes.post(ALL)
@operation("placement:resource_providers:inventories:create", takes=NewInventory)
def create_inventory(provider_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """One more class; one that is there already is a Conflict."""
    kit.must("resource_providers:inventories:create", caller)
    with kit.transaction() as tx:
        row = tx.providers.find(provider_id, lock=True)
        asked = read(NewInventory, body)
        refused = f"Unable to create inventory for resource provider {row.id}: "
        _must_be_sound(asked, asked.resource_class, row.id, version, refused)
        _must_be_known(tx, [asked.resource_class], refused)
        if any(one.resource_class == asked.resource_class for one in tx.inventories.of(row.id)):
            raise StaleGeneration(f"Update conflict: {asked.resource_class} is there already")
        made = tx.inventories.put(row.id, asked.resource_class, asked.model_dump())
        tx.providers.move_on(row)
    created = answer(_shown(made, row.generation), version, status=201)
    created.headers["location"] = f"{kit.url}/resource_providers/{row.id}/inventories/{made.resource_class}"
    return created


@routes.put(ALL)
@operation("placement:resource_providers:inventories:update", takes=AllInventories)
def replace_inventories(provider_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """These and no others."""
    kit.must("resource_providers:inventories:update", caller)
    with kit.transaction() as tx:
        row = tx.providers.find(provider_id, lock=True)
        asked = read(AllInventories, body)
        must_be_newest(row, asked.resource_provider_generation)
        _must_all_be_sound(tx, asked, row.id, version)
        tx.inventories.replace(row.id, {name: one.model_dump() for name, one in asked.inventories.items()})
        tx.providers.move_on(row)
        return answer(_all_shown(tx, row), version)


@routes.delete(ALL)
@operation("placement:resource_providers:inventories:delete")
def delete_inventories(provider_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    if version < ALL_GONE_SINCE:
        raise WrongMethod("The method specified is not allowed for this resource.")
    kit.must("resource_providers:inventories:delete", caller)
    with kit.transaction() as tx:
        row = tx.providers.find(provider_id, lock=True)
        tx.inventories.replace(row.id, {})
        tx.providers.move_on(row)
    return nothing(version)


@routes.get(ONE)
@operation("placement:resource_providers:inventories:show")
def show_inventory(provider_id: str, resource_class: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_providers:inventories:show", caller)
    with kit.reading() as tx:
        row = tx.providers.find(provider_id)
        return answer(_shown(tx.inventories.find(row.id, resource_class), row.generation), version)


@routes.put(ONE)
@operation("placement:resource_providers:inventories:update", takes=OneInventory)
def update_inventory(
    provider_id: str, resource_class: str, body: Body, caller: Caller, kit: KitOf, version: Version
) -> Response:
    """Of a class that is there."""
    kit.must("resource_providers:inventories:update", caller)
    with kit.transaction() as tx:
        row = tx.providers.find(provider_id, lock=True)
        asked = read(OneInventory, body)
        must_be_newest(row, asked.resource_provider_generation)
        refused = f"Unable to update inventory for resource provider {row.id}: "
        _must_be_sound(asked, resource_class, row.id, version, refused)
        try:
            tx.inventories.find(row.id, resource_class)
        except NotFound as error:
            raise InvalidInput(
                f"No inventory record with resource class for resource provider {row.id}: "
                f"No inventory of class {resource_class[:255]} found."
            ) from error
        changed = tx.inventories.put(row.id, resource_class, asked.model_dump())
        tx.providers.move_on(row)
    return answer(_shown(changed, row.generation), version)


@routes.delete(ONE)
@operation("placement:resource_providers:inventories:delete")
def delete_inventory(provider_id: str, resource_class: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_providers:inventories:delete", caller)
    with kit.transaction() as tx:
        row = tx.providers.find(provider_id, lock=True)
        tx.inventories.remove(row.id, resource_class)
        tx.providers.move_on(row)
    return nothing(version)


def must_be_newest(row: ProviderRow, seen: int) -> None:
    """StaleGeneration"""
    if seen != row.generation:
        raise StaleGeneration("resource provider generation conflict")


def _must_all_be_sound(tx: Tx, asked: AllInventories, provider_id: UUID, version: int) -> None:
    refused = f"Unable to update inventory for resource provider {provider_id}: "
    for name, one in asked.inventories.items():
        _must_be_sound(one, name, provider_id, version, refused)
    _must_be_known(
        tx, list(asked.inventories), f"Unknown resource class in inventory for resource provider {provider_id}: "
    )


def _must_be_sound(asked: Numbers, name: str, provider_id: UUID, version: int, refused: str) -> None:
    """InvalidInput: something must be left beside what is reserved; since 1.26 nothing need be"""
    capacity = int((asked.total - asked.reserved) * asked.allocation_ratio)
    if capacity < 0 or (capacity == 0 and version < FULL_RESERVE_SINCE):
        than = "greater than total" if version >= FULL_RESERVE_SINCE else "greater than or equal to total"
        raise InvalidInput(
            f"{refused}Invalid inventory for '{name[:255]}' on resource provider '{provider_id}'. The reserved value is {than}."
        )


def _must_be_known(tx: Tx, names: list[str], refused: str) -> None:
    if (unknown := tx.classes.unknown(names)) is not None:
        raise InvalidInput(f"{refused}No such resource class {unknown}.")


def _all_shown(tx: Tx, row: ProviderRow) -> dict[str, Any]:
    rows = tx.inventories.of(row.id)
    return {
        "resource_provider_generation": row.generation,
        "inventories": {one.resource_class: _numbers(one) for one in rows},
    }


def _shown(row: InventoryRow, generation: int) -> dict[str, Any]:
    return _numbers(row) | {"resource_provider_generation": generation}


def _numbers(row: InventoryRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in FIELDS}
