"""Queries on placement: which hosts fit, and claims on them.  The caller commits.

A claim has to have seen the newest generation of its provider, so two schedulers may race and never oversubscribe.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from common.errors import StaleGeneration
from services.compute.core.hypervisors import HostFacts
from services.compute.core.placement import Ratios, ResourceClass, Stock
from services.compute.core.scheduling import Candidate, HostView, Wish
from services.compute.db.fitting_hosts import all_hosts, all_stocks, fitting, shape_of, values_of
from services.compute.db.fitting_trees import FittingTrees
from services.compute.db.placement_tables import (
    AllocationRow,
    ConsumerRow,
    InventoryRow,
    ProviderRow,
    ProviderTraitRow,
)

SERVER = "INSTANCE"  # what placement's clients call a consumer that is a server


class Placement:
    """Providers, inventories and allocations, within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._trees = FittingTrees(session)

    # ------------------------------------------------------------------ finding

    def candidates(self, wish: Wish, *, seen_after: datetime, start: UUID, most: int = 10) -> list[Candidate]:
        """Some hosts that fit: the first ones in a walk over all that begins at `start`, anywhere among their ids."""
        asked = {"seen_after": seen_after, "start": start, **values_of(wish)}
        found: list[Candidate] = []
        if not wish.groups:
            found = self._walk(fitting(shape_of(wish), from_start=True), asked | {"most": most})
            if len(found) < most:
                found += self._walk(fitting(shape_of(wish), from_start=False), asked | {"most": most - len(found)})
        if not found and (wish.groups or self._trees.help_with(wish.resources)):
            found = self._trees.candidates(wish, seen_after=seen_after, start=start, most=most)
        return found

    def _walk(self, query: Select[Any], asked: Mapping[str, Any]) -> list[Candidate]:
        return [Candidate(*row) for row in self._session.execute(query, asked)]

    def views(self, wish: Wish, *, seen_after: datetime) -> list[HostView]:
        """Every host with all that the filters look at for this wish, by name.  For explanations: reads all hosts."""
        traits, hosts = self._traits(), self._session.execute(all_hosts()).all()
        stocks = self._trees.most_of(self._stocks(wish.resources), [row[0] for row in hosts])
        return [
            HostView(
                name=host,
                zone=zone,
                is_disabled=is_disabled,
                disabled_reason=reason,
                is_up=not is_forced_down and seen_at > seen_after,
                stock=stocks.get(provider_id, {}),
                traits=traits.get(host, frozenset()),
            )
            for provider_id, host, zone, is_disabled, reason, is_forced_down, seen_at in hosts
        ]

    def _stocks(self, resources: Collection[str]) -> dict[Hashable, dict[str, Stock]]:
        found: dict[Hashable, dict[str, Stock]] = {}
        asked = {"resources": sorted(map(str, resources))}
        for provider_id, resource, *numbers in self._session.execute(all_stocks(), asked):
            found.setdefault(provider_id, {})[resource] = Stock(*numbers)
        return found

    def _traits(self) -> dict[str, frozenset[str]]:
        query = select(ProviderRow.name, ProviderTraitRow.trait).where(ProviderRow.id == ProviderTraitRow.provider_id)
        found: dict[str, set[str]] = {}
        for host, trait in self._session.execute(query):
            found.setdefault(host, set()).add(trait)
        return {host: frozenset(traits) for host, traits in found.items()}

    # ------------------------------------------------------------------ claiming

    def claim(
        self, candidate: Candidate, wish: Wish, *, consumer_id: UUID, project_id: str, user_id: str, at: datetime
    ) -> None:
        """Hold what the server asks for.  StaleGeneration if the host changed since the candidate was read."""
        amounts = candidate.amounts if candidate.amounts is not None else {candidate.provider_id: wish.resources}
        for provider_id, generation in sorted(
            {**candidate.generations, candidate.provider_id: candidate.generation}.items()
        ):
            seen = {"b_id": provider_id, "b_generation": generation}
            if not self._session.connection().execute(_MOVE_ON_FROM, seen).rowcount:
                raise StaleGeneration(f"Host {candidate.host} was claimed by another", host=candidate.host)
        for provider_id, of_provider in amounts.items():
            self._use(provider_id, of_provider, sign=1)
        mine = {"consumer_id": consumer_id, "created_at": at}
        rows = [
            mine | {"provider_id": provider_id, "resource_class": resource, "used": amount}
            for provider_id, of_provider in amounts.items()
            for resource, amount in of_provider.items()
        ]
        if rows:
            who = {"id": consumer_id, "project_id": project_id, "user_id": user_id, "created_at": at}
            self._session.connection().execute(_BE_HOLDER, who | {"kind": SERVER, "is_server": True, "generation": 1})
            self._session.connection().execute(_HOLD, rows)

    def release(self, consumer_id: UUID) -> None:
        """Give back all that this server holds; holding nothing is fine."""
        mine = delete(AllocationRow).where(AllocationRow.consumer_id == consumer_id)
        given: dict[UUID, dict[str, int]] = {}
        for provider_id, resource, used in self._session.execute(
            mine.returning(AllocationRow.provider_id, AllocationRow.resource_class, AllocationRow.used)
        ).all():
            given.setdefault(provider_id, {})[resource] = used
        self._session.execute(delete(ConsumerRow).where(ConsumerRow.id == consumer_id))
        for provider_id, amounts in given.items():
            self._moved_on(provider_id)
            self._use(provider_id, amounts, sign=-1)

    def consumers_without(self, servers: Select[Any]) -> list[UUID]:
        """For whom the scheduler holds something, and who is not among `servers` (a query of ids)."""
        query = select(ConsumerRow.id).where(ConsumerRow.is_server, ConsumerRow.id.not_in(servers))
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
        self, provider_id: UUID, facts: HostFacts, ratios: Ratios, *, before: HostFacts | None, at: datetime
    ) -> None:
        """Make or renew a host's provider.  `before`: what its agent told last time; None: it is new.

        Only what the agent tells otherwise than last time is changed, so what operators set stays (docs/adr/0012).
        """
        if self._session.get(ProviderRow, provider_id) is None:
            self._session.add(ProviderRow(id=provider_id, name=facts.host, generation=0, created_at=at))
            self._session.flush()
        had, has = _has(before) if before is not None else {}, _has(facts)
        changed = [
            self._stocked(provider_id, resource, amounts, ratios, is_news=had.get(resource) != amounts)
            for resource, amounts in has.items()
        ]
        changed += [self._sold_out(provider_id, resource) for resource in had.keys() - has.keys()]
        changed.append(self._told(provider_id, set(facts.traits), set(before.traits) if before is not None else set()))
        if any(changed):
            self._moved_on(provider_id)

    def _stocked(
        self, provider_id: UUID, resource: ResourceClass, amounts: tuple[int, int], ratios: Ratios, *, is_news: bool
    ) -> bool:
        row = self._session.get(InventoryRow, (provider_id, resource.value))
        if row is None:
            row = InventoryRow(provider_id=provider_id, resource_class=resource.value, used=0)
            row.allocation_ratio = ratios.of(resource)
            self._session.add(row)
        elif not is_news or (row.total, row.reserved) == amounts:
            return False
        row.total, row.reserved = amounts
        row.max_unit = row.total
        return True

    def _sold_out(self, provider_id: UUID, resource: ResourceClass) -> bool:
        """The host has no more of it; who holds some keeps that."""
        row = self._session.get(InventoryRow, (provider_id, resource.value))
        if row is None:
            return False
        if row.used:
            row.total = row.reserved = 0
        else:
            self._session.delete(row)
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
_HOLD, _BE_HOLDER = insert(AllocationRow), insert(ConsumerRow)
_USE = (
    update(InventoryRow)
    .where(_I.provider_id == bindparam("b_provider_id"), _I.resource_class == bindparam("b_resource_class"))
    .values(used=_I.used + bindparam("b_change"))
)


def _has(facts: HostFacts) -> dict[ResourceClass, tuple[int, int]]:
    """Total and reserved of each resource."""
    processors = {ResourceClass.VCPU: (facts.vcpus, 0), ResourceClass.PCPU: (facts.pcpus, 0)}
    return {name: amounts for name, amounts in processors.items() if any(amounts)} | {
        ResourceClass.MEMORY_MB: (facts.memory_mib, facts.memory_reserved_mib),
        ResourceClass.DISK_GB: (facts.disk_gib, facts.disk_reserved_gib),
    }
