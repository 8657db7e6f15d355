"""Queries on placement: which hosts fit, and claims on them.  The caller commits.

A claim has to have seen the newest generation of its provider, so two schedulers may race and never oversubscribe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, Select, and_, case, delete, exists, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from common.errors import StaleGeneration
from services.compute.core.hypervisors import HostFacts
from services.compute.core.placement import Ratios, ResourceClass, Stock
from services.compute.core.scheduling import Candidate, HostView, Wish
from services.compute.db.placement_tables import AllocationRow, InventoryRow, ProviderRow, ProviderTraitRow
from services.compute.db.tables import ServiceRow

COMPUTE = "nova-compute"


class Placement:
    """Providers, inventories and allocations, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # ------------------------------------------------------------------ finding

    def candidates(self, wish: Wish, *, seen_after: datetime, start: UUID, most: int = 24) -> list[Candidate]:
        """Some hosts that fit: the first ones in a walk over all that begins at `start`, anywhere among their ids."""
        query = _fitting(wish, seen_after)
        found = self._walk(query.where(ProviderRow.id >= start), most)
        if len(found) < most:
            found += self._walk(query.where(ProviderRow.id < start), most - len(found))
        return found

    def _walk(self, query: Select[Any], most: int) -> list[Candidate]:
        return [Candidate(*row) for row in self._session.execute(query.order_by(ProviderRow.id).limit(most))]

    def views(self, *, seen_after: datetime) -> list[HostView]:
        """Every host with all that the filters look at, by name.  For explanations: reads everything."""
        stock, traits = self._stock(), self._traits()
        columns = (
            ProviderRow.id,
            ServiceRow.host,
            ServiceRow.zone,
            ServiceRow.is_disabled,
            ServiceRow.disabled_reason,
            and_(ServiceRow.is_forced_down.is_(False), ServiceRow.seen_at > seen_after),
        )
        query = select(*columns).join(ServiceRow, _is_host()).order_by(ServiceRow.host)
        return [
            HostView(
                name=host,
                zone=zone,
                is_disabled=is_disabled,
                disabled_reason=reason,
                is_up=bool(is_up),
                stock=stock.get(provider_id, {}),
                traits=traits.get(provider_id, frozenset()),
            )
            for provider_id, host, zone, is_disabled, reason, is_up in self._session.execute(query)
        ]

    def _stock(self) -> dict[UUID, dict[ResourceClass, Stock]]:
        row, found = InventoryRow, dict[UUID, dict[ResourceClass, Stock]]()
        columns = (row.total, row.reserved, row.allocation_ratio, row.used, row.max_unit)
        query = select(row.provider_id, row.resource_class, *columns).where(row.resource_class.in_(list(ResourceClass)))
        for provider_id, resource, *numbers in self._session.execute(query):
            found.setdefault(provider_id, {})[ResourceClass(resource)] = Stock(*numbers)
        return found

    def _traits(self) -> dict[UUID, frozenset[str]]:
        found: dict[UUID, set[str]] = {}
        for provider_id, trait in self._session.execute(select(ProviderTraitRow.provider_id, ProviderTraitRow.trait)):
            found.setdefault(provider_id, set()).add(trait)
        return {provider_id: frozenset(traits) for provider_id, traits in found.items()}

    # ------------------------------------------------------------------ claiming

    def host_of(self, consumer_id: UUID) -> str | None:
        """Where this server holds a claim already."""
        query = select(ProviderRow.name).join(AllocationRow, AllocationRow.provider_id == ProviderRow.id)
        return self._session.scalar(query.where(AllocationRow.consumer_id == consumer_id).limit(1))

    def claim(
        self, candidate: Candidate, wish: Wish, *, consumer_id: UUID, project_id: str, user_id: str, at: datetime
    ) -> None:
        """Hold what the server asks for.  StaleGeneration if the host changed since the candidate was read."""
        seen = and_(ProviderRow.id == candidate.provider_id, ProviderRow.generation == candidate.generation)
        if not self._changed(update(ProviderRow).where(seen).values(generation=candidate.generation + 1)):
            raise StaleGeneration(f"Host {candidate.host} was claimed by another", host=candidate.host)
        self._use(candidate.provider_id, wish.resources, sign=1)
        rows = [
            {
                "consumer_id": consumer_id,
                "provider_id": candidate.provider_id,
                "resource_class": resource,
                "used": amount,
                "project_id": project_id,
                "user_id": user_id,
                "created_at": at,
            }
            for resource, amount in wish.resources.items()
        ]
        if rows:
            self._session.execute(insert(AllocationRow), rows)

    def release(self, consumer_id: UUID) -> None:
        """Give back all that this server holds; holding nothing is fine."""
        mine = delete(AllocationRow).where(AllocationRow.consumer_id == consumer_id)
        given: dict[UUID, dict[str, int]] = {}
        for provider_id, resource, used in self._session.execute(
            mine.returning(AllocationRow.provider_id, AllocationRow.resource_class, AllocationRow.used)
        ).all():
            given.setdefault(provider_id, {})[resource] = used
        for provider_id, amounts in given.items():
            self._moved_on(provider_id)
            self._use(provider_id, amounts, sign=-1)

    def consumers_without(self, servers: Select[Any]) -> list[UUID]:
        """Who holds something and is not among `servers` (a query of ids)."""
        query = select(AllocationRow.consumer_id).where(AllocationRow.consumer_id.not_in(servers)).distinct()
        return list(self._session.scalars(query))

    def _use(self, provider_id: UUID, amounts: Mapping[Any, int], *, sign: int) -> None:
        row = InventoryRow
        if not amounts:
            return
        change = case({str(resource): sign * amount for resource, amount in amounts.items()}, value=row.resource_class)
        mine = and_(row.provider_id == provider_id, row.resource_class.in_([str(resource) for resource in amounts]))
        self._session.execute(update(row).where(mine).values(used=row.used + change), execution_options=_NO_SYNC)

    def _moved_on(self, provider_id: UUID) -> None:
        self._session.execute(
            update(ProviderRow).where(ProviderRow.id == provider_id).values(generation=ProviderRow.generation + 1),
            execution_options=_NO_SYNC,
        )

    # ------------------------------------------------------------------ what hosts have

    def offer(
        self, provider_id: UUID, facts: HostFacts, ratios: Ratios, *, before: Iterable[str], at: datetime
    ) -> None:
        """Make or renew a host's provider.  Ratios that somebody set stay, and so do traits that no agent told of.

        `before`: the traits that the agent told of last time.
        """
        if self._session.get(ProviderRow, provider_id) is None:
            self._session.add(ProviderRow(id=provider_id, name=facts.host, generation=0, created_at=at))
            self._session.flush()
        changed = [self._stocked(provider_id, resource, *amounts, ratios) for resource, amounts in _has(facts).items()]
        changed.append(self._told(provider_id, set(facts.traits), set(before)))
        if any(changed):
            self._moved_on(provider_id)

    def _stocked(self, provider_id: UUID, resource: ResourceClass, total: int, reserved: int, ratios: Ratios) -> bool:
        row = self._session.get(InventoryRow, (provider_id, resource.value))
        if row is None:
            row = InventoryRow(provider_id=provider_id, resource_class=resource.value, used=0)
            row.allocation_ratio = ratios.of(resource)
            self._session.add(row)
        elif (row.total, row.reserved) == (total, reserved):
            return False
        row.total, row.max_unit, row.reserved = total, total, reserved
        return True

    def _told(self, provider_id: UUID, traits: set[str], before: set[str]) -> bool:
        mine = ProviderTraitRow.provider_id == provider_id
        has = set(self._session.scalars(select(ProviderTraitRow.trait).where(mine)))
        if gone := (before - traits) & has:
            self._session.execute(delete(ProviderTraitRow).where(mine, ProviderTraitRow.trait.in_(gone)))
        if new := traits - has:
            self._session.execute(
                insert(ProviderTraitRow), [{"provider_id": provider_id, "trait": trait} for trait in sorted(new)]
            )
        return bool(gone or new)

    def _changed(self, statement: Any) -> int:
        result = self._session.execute(statement, execution_options=_NO_SYNC)
        assert isinstance(result, CursorResult)
        return result.rowcount


_NO_SYNC = {"synchronize_session": False}


def _is_host() -> Any:
    return and_(ServiceRow.host == ProviderRow.name, ServiceRow.binary == COMPUTE)


def _has(facts: HostFacts) -> dict[ResourceClass, tuple[int, int]]:
    """Total and reserved of each resource."""
    return {
        ResourceClass.VCPU: (facts.vcpus, 0),
        ResourceClass.MEMORY_MB: (facts.memory_mib, facts.memory_reserved_mib),
        ResourceClass.DISK_GB: (facts.disk_gib, 0),
    }


def _fitting(wish: Wish, seen_after: datetime) -> Select[Any]:
    """Hosts that pass every filter of `core/filters.py`, as candidates."""
    stocks = {resource: aliased(InventoryRow, name=resource.value.lower()) for resource in ResourceClass}
    memory, vcpu = stocks[ResourceClass.MEMORY_MB], stocks[ResourceClass.VCPU]
    query = select(
        ProviderRow.id,
        ProviderRow.name,
        ServiceRow.zone,
        ProviderRow.generation,
        func.coalesce(_free(memory), 0),
        func.coalesce(_free(vcpu), 0),
    ).join(ServiceRow, _is_host())
    for resource, stock in stocks.items():
        of_class = and_(stock.provider_id == ProviderRow.id, stock.resource_class == resource.value)
        query = query.outerjoin(stock, of_class)
        if wanted := wish.resources.get(resource):
            query = query.where(_free(stock) >= wanted, stock.max_unit >= wanted)
    return query.where(
        ServiceRow.is_disabled.is_(False),
        ServiceRow.is_forced_down.is_(False),
        ServiceRow.seen_at > seen_after,
        *_asked(wish),
        *(_has_trait(trait) for trait in sorted(wish.required_traits)),
        *(~_has_trait(trait) for trait in sorted(wish.forbidden_traits)),
    )


def _asked(wish: Wish) -> Sequence[Any]:
    avoided = wish.failed_hosts | wish.apart
    return (
        *([ServiceRow.zone == wish.zone] if wish.zone else []),
        *([ProviderRow.name == wish.host] if wish.host else []),
        *([ProviderRow.name.in_(wish.beside)] if wish.beside is not None else []),
        *([ProviderRow.name.not_in(avoided)] if avoided else []),
    )


def _free(stock: Any) -> Any:
    return (stock.total - stock.reserved) * stock.allocation_ratio - stock.used


def _has_trait(trait: str) -> Any:
    row = ProviderTraitRow
    return exists().where(row.provider_id == ProviderRow.id, row.trait == trait)
