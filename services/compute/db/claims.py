"""Change what a server holds of the host that it is on, and of what belongs to that.  The caller commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from common.errors import NoCapacity, StaleGeneration
from services.compute.core.allocation_candidates import Amounts
from services.compute.core.demands import Demand, demand_of
from services.compute.db.fitting_trees import FittingTrees
from services.compute.db.placement_tables import AllocationRow, ConsumerRow, InventoryRow, ProviderRow

NO_ROOM = "No valid host was found. The server's host has no room for "


def demands_meanwhile(
    flavor: Mapping[str, Any], before: Mapping[str, Any] | None, properties: Mapping[str, Any]
) -> tuple[Demand, ...]:
    """What a server must be able to hold: what its flavor asks for, and the one before while it may still go back."""
    old = (before or {}).get("flavor")
    return tuple(demand_of(one, properties) for one in (flavor, old) if one is not None)


def larger(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Of each resource the most that any of them has."""
    return {
        name: max(one.get(name, 0) for one in parts) for name in dict.fromkeys(name for one in parts for name in one)
    }


class Claims:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._trees = FittingTrees(session)

    def become(self, consumer_id: UUID, demands: Sequence[Demand], *, host: str | None) -> None:
        """Hold what would do for any of these, if the server holds something now.  `host`: where it is.

        NoCapacity; StaleGeneration if others were quicker.
        """
        mine = select(AllocationRow).where(AllocationRow.consumer_id == consumer_id)
        rows = list(self._session.scalars(mine))
        if not rows:
            return
        held: dict[UUID, dict[str, int]] = {}
        for row in rows:
            held.setdefault(row.provider_id, {})[row.resource_class] = row.used
        wanted = self._wanted(host, demands, held)
        if changed := [one for one in sorted({*held, *wanted}) if held.get(one, {}) != wanted.get(one, {})]:
            held_by = update(ConsumerRow).where(ConsumerRow.id == consumer_id)
            self._session.execute(held_by.values(generation=ConsumerRow.generation + 1))
            for provider_id in changed:
                self._move_on(provider_id)
                self._exchange(rows[0], provider_id, held.get(provider_id, {}), wanted.get(provider_id, {}))

    def _wanted(self, host: str | None, demands: Sequence[Demand], held: Amounts) -> Amounts:
        """Of each provider; nobody but the host itself has anything, mostly.  NoCapacity"""
        if not any(one.groups for one in demands) and len(held) == 1 and not self._trees.exist():
            return {next(iter(held)): larger([one.resources for one in demands])}
        host_id = self._session.scalar(select(ProviderRow.id).where(ProviderRow.name == host))
        ways = [self._trees.way(host_id, one, held=held) for one in demands] if host_id else []
        found = [way for way in ways if way is not None]
        if not found or len(found) < len(ways):
            raise NoCapacity(f"{NO_ROOM}all that it asks for")
        return {provider: larger([way.get(provider, {}) for way in found]) for way in found for provider in way}

    def _move_on(self, provider_id: UUID) -> None:
        seen = self._session.scalar(select(ProviderRow.generation).where(ProviderRow.id == provider_id))
        row = (ProviderRow.id == provider_id, ProviderRow.generation == seen)
        done: Any = self._session.execute(update(ProviderRow).where(*row).values(generation=ProviderRow.generation + 1))
        if not done.rowcount:
            raise StaleGeneration("The host was claimed by another")

    def _exchange(
        self, like: AllocationRow, provider_id: UUID, held: Mapping[str, int], wanted: Mapping[str, int]
    ) -> None:
        consumer_id, since = like.consumer_id, like.created_at
        for name in {*held, *wanted}:
            amount = wanted.get(name, 0)
            if (change := amount - held.get(name, 0)) != 0:
                self._use(provider_id, name, change, amount=amount)
                self._hold(consumer_id, provider_id, name, amount, since=since)

    def _use(self, provider_id: UUID, name: str, change: int, *, amount: int) -> None:
        stock = self._session.get(InventoryRow, (provider_id, name), populate_existing=True)
        room = 0.0 if stock is None else (stock.total - stock.reserved) * stock.allocation_ratio - stock.used
        if change > 0 and (stock is None or change > room or amount > stock.max_unit):
            raise NoCapacity(f"{NO_ROOM}{change} more {name}")
        if stock is not None:
            stock.used += change
            self._session.flush()

    def _hold(self, consumer_id: UUID, provider_id: UUID, name: str, amount: int, *, since: datetime) -> None:
        row = AllocationRow
        mine = (row.consumer_id == consumer_id, row.provider_id == provider_id, row.resource_class == name)
        self._session.execute(delete(AllocationRow).where(*mine))
        if amount:
            key = {"consumer_id": consumer_id, "provider_id": provider_id, "resource_class": name}
            self._session.execute(insert(AllocationRow), [key | {"used": amount, "created_at": since}])
