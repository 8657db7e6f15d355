"""Queries on placement: which hosts fit, and claims on them.  The caller commits.

A claim has to have seen the newest generation of its provider, so two schedulers may race and never oversubscribe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from common.errors import StaleGeneration
from services.compute.core.hypervisors import HostFacts
from services.compute.core.placement import Ratios, ResourceClass, Stock
from services.compute.core.scheduling import Candidate, HostView, Wish
from services.compute.db.fitting_hosts import all_hosts, fitting, shape_of, values_of
from services.compute.db.placement_tables import AllocationRow, InventoryRow, ProviderRow, ProviderTraitRow


class Placement:
    """Providers, inventories and allocations, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # ------------------------------------------------------------------ finding

    def candidates(self, wish: Wish, *, seen_after: datetime, start: UUID, most: int = 10) -> list[Candidate]:
        """Some hosts that fit: the first ones in a walk over all that begins at `start`, anywhere among their ids."""
        asked = {"seen_after": seen_after, "start": start, **values_of(wish)}
        found = self._walk(fitting(shape_of(wish), from_start=True), asked | {"most": most})
        if len(found) < most:
            found += self._walk(fitting(shape_of(wish), from_start=False), asked | {"most": most - len(found)})
        return found

    def _walk(self, query: Select[Any], asked: Mapping[str, Any]) -> list[Candidate]:
        return [Candidate(*row) for row in self._session.execute(query, asked)]

    def views(self, *, seen_after: datetime) -> list[HostView]:
        """Every host with all that the filters look at, by name.  For explanations: reads everything."""
        traits = self._traits()
        return [
            HostView(
                name=host,
                zone=zone,
                is_disabled=is_disabled,
                disabled_reason=reason,
                is_up=not is_forced_down and seen_at > seen_after,
                stock=_stock(numbers),
                traits=traits.get(host, frozenset()),
            )
            for host, zone, is_disabled, reason, is_forced_down, seen_at, *numbers in self._session.execute(all_hosts())
        ]

    def _traits(self) -> dict[str, frozenset[str]]:
        query = select(ProviderRow.name, ProviderTraitRow.trait).where(ProviderRow.id == ProviderTraitRow.provider_id)
        found: dict[str, set[str]] = {}
        for host, trait in self._session.execute(query):
            found.setdefault(host, set()).add(trait)
        return {host: frozenset(traits) for host, traits in found.items()}

    # ------------------------------------------------------------------ claiming

    def host_of(self, consumer_id: UUID) -> str | None:
        """Where this server holds a claim already."""
        query = select(ProviderRow.name).join(AllocationRow, AllocationRow.provider_id == ProviderRow.id)
        return self._session.scalar(query.where(AllocationRow.consumer_id == consumer_id).limit(1))

    def claim(
        self, candidate: Candidate, wish: Wish, *, consumer_id: UUID, project_id: str, user_id: str, at: datetime
    ) -> None:
        """Hold what the server asks for.  StaleGeneration if the host changed since the candidate was read."""
        seen = {"b_id": candidate.provider_id, "b_generation": candidate.generation}
        if not self._session.connection().execute(_MOVE_ON_FROM, seen).rowcount:
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
            self._session.connection().execute(_HOLD, rows)

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
        changes = [
            {"b_provider_id": provider_id, "b_resource_class": str(resource), "b_change": sign * amount}
            for resource, amount in amounts.items()
        ]
        if changes:
            self._session.connection().execute(_USE, changes)

    def _moved_on(self, provider_id: UUID) -> None:
        self._session.connection().execute(_MOVE_ON, {"b_id": provider_id})

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


# Built once: building costs more than running them.
_P, _I = ProviderRow.__table__.c, InventoryRow.__table__.c
_MOVE_ON = update(ProviderRow).where(_P.id == bindparam("b_id")).values(generation=_P.generation + 1)
_MOVE_ON_FROM = _MOVE_ON.where(_P.generation == bindparam("b_generation"))
_HOLD = insert(AllocationRow)
_USE = (
    update(InventoryRow)
    .where(_I.provider_id == bindparam("b_provider_id"), _I.resource_class == bindparam("b_resource_class"))
    .values(used=_I.used + bindparam("b_change"))
)


def _has(facts: HostFacts) -> dict[ResourceClass, tuple[int, int]]:
    """Total and reserved of each resource."""
    return {
        ResourceClass.VCPU: (facts.vcpus, 0),
        ResourceClass.MEMORY_MB: (facts.memory_mib, facts.memory_reserved_mib),
        ResourceClass.DISK_GB: (facts.disk_gib, 0),
    }


def _stock(numbers: Sequence[Any]) -> dict[ResourceClass, Stock]:
    """From the columns that `all_hosts` gives, five for each class; a host may lack one."""
    of_class = {resource: numbers[at * 5 : at * 5 + 5] for at, resource in enumerate(ResourceClass)}
    return {resource: Stock(*five) for resource, five in of_class.items() if five[0] is not None}
