"""Change what a server holds of the host that it is on.  The caller commits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from common.errors import NoCapacity, StaleGeneration
from services.compute.core.placement import ResourceClass
from services.compute.core.scheduling import needs_of
from services.compute.db.placement_tables import AllocationRow, InventoryRow, ProviderRow


def needs_meanwhile(flavor: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[ResourceClass, int]:
    """What a server claims: both sizes' larger part of each resource while it may still go back to the one before."""
    now = needs_of(flavor)
    if not before or "flavor" not in before:
        return now
    old = needs_of(before["flavor"])
    return {resource: max(now.get(resource, 0), old.get(resource, 0)) for resource in (*now, *(set(old) - set(now)))}


class Claims:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def become(self, consumer_id: UUID, wanted: Mapping[ResourceClass, int]) -> None:
        """Hold exactly this where the server holds something now.  NoCapacity; StaleGeneration if others were quicker."""
        mine = select(AllocationRow).where(AllocationRow.consumer_id == consumer_id)
        held = list(self._session.scalars(mine))
        if not held:
            return
        first = held[0]
        has = {row.resource_class: row.used for row in held}
        changes = {
            name: amount - has.get(name, 0)
            for name in {*has, *map(str, wanted)}
            if (amount := int(wanted.get(ResourceClass(name), 0))) != has.get(name, 0)
        }
        if not changes:
            return
        self._move_on(first.provider_id)
        for name, change in changes.items():
            self._use(first.provider_id, name, change, amount=has.get(name, 0) + change)
            self._hold(first, name, has.get(name, 0) + change)

    def _move_on(self, provider_id: UUID) -> None:
        seen = self._session.scalar(select(ProviderRow.generation).where(ProviderRow.id == provider_id))
        row = (ProviderRow.id == provider_id, ProviderRow.generation == seen)
        done: Any = self._session.execute(update(ProviderRow).where(*row).values(generation=ProviderRow.generation + 1))
        if not done.rowcount:
            raise StaleGeneration("The host was claimed by another")

    def _use(self, provider_id: UUID, name: str, change: int, *, amount: int) -> None:
        stock = self._session.get(InventoryRow, (provider_id, name), populate_existing=True)
        room = 0.0 if stock is None else (stock.total - stock.reserved) * stock.allocation_ratio - stock.used
        if change > 0 and (stock is None or change > room or amount > stock.max_unit):
            raise NoCapacity(f"No valid host was found. The server's host has no room for {change} more {name}")
        if stock is not None:
            stock.used += change
            self._session.flush()

    def _hold(self, like: AllocationRow, name: str, amount: int) -> None:
        mine = (
            AllocationRow.consumer_id == like.consumer_id,
            AllocationRow.provider_id == like.provider_id,
            AllocationRow.resource_class == name,
        )
        self._session.execute(delete(AllocationRow).where(*mine))
        if amount:
            row = {
                "consumer_id": like.consumer_id,
                "provider_id": like.provider_id,
                "resource_class": name,
                "used": amount,
                "project_id": like.project_id,
                "user_id": like.user_id,
                "created_at": like.created_at,
            }
            self._session.execute(insert(AllocationRow), [row])
