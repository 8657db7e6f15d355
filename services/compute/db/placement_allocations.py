"""Queries on who holds what, for the Placement API.  The caller commits.

What servers hold is the scheduler's (`placement.py`, `claims.py`): here it is shown, and refused to whoever would change it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from common.errors import Conflict, InvalidInput, NotFound, StaleGeneration
from services.compute.core.allocation_candidates import Amounts
from services.compute.db.placement_names import ResourceClasses
from services.compute.db.placement_providers import Providers
from services.compute.db.placement_tables import AllocationRow, ConsumerRow, InventoryRow, ProviderRow
from services.compute.db.servers import as_uuid

UNCHECKED = -1
"""In place of a consumer's generation: whoever writes need not have seen it."""
UNKNOWN_OWNER = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a consumer shall hold from now on, and nothing else."""

    consumer_id: UUID
    amounts: Amounts
    project_id: str = UNKNOWN_OWNER
    user_id: str = UNKNOWN_OWNER
    kind: str | None = None
    seen: int | None = UNCHECKED  # the consumer's generation; None: it must be new


class Allocations:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # ------------------------------------------------------------------ reading

    def consumer(self, consumer_id: str) -> ConsumerRow | None:
        known = as_uuid(consumer_id)
        return self._session.get(ConsumerRow, known) if known else None

    def of_consumer(self, consumer_id: UUID) -> Sequence[Any]:
        """Provider, its generation, class, amount, since when."""
        query = _HELD.where(AllocationRow.consumer_id == consumer_id)
        return self._session.execute(query.order_by(AllocationRow.provider_id, AllocationRow.resource_class)).all()

    def of_provider(self, provider_id: UUID) -> Sequence[Any]:
        """Consumer, its generation, class, amount, since when."""
        row = AllocationRow
        query = select(row.consumer_id, ConsumerRow.generation, row.resource_class, row.used, row.created_at)
        query = query.join(ConsumerRow, ConsumerRow.id == row.consumer_id).where(row.provider_id == provider_id)
        return self._session.execute(query.order_by(row.consumer_id, row.resource_class)).all()

    def usage(self, project_id: str | None, user_id: str | None, kind: str | None) -> Sequence[Any]:
        """Kind of consumer (None: nobody said), class, sum; `kind` "unknown" asks for those, None for all."""
        query = select(ConsumerRow.kind, AllocationRow.resource_class, func.sum(AllocationRow.used).label("used"))
        query = query.join(AllocationRow, AllocationRow.consumer_id == ConsumerRow.id)
        query = query.where(*_owned(project_id, user_id, kind))
        return self._session.execute(query.group_by(ConsumerRow.kind, AllocationRow.resource_class)).all()

    def counts(self, project_id: str | None, user_id: str | None, kind: str | None) -> dict[str | None, int]:
        """Kind of consumer -> how many of them hold something."""
        query = select(ConsumerRow.kind, func.count()).where(*_owned(project_id, user_id, kind))
        return {row[0]: row[1] for row in self._session.execute(query.group_by(ConsumerRow.kind))}

    # ------------------------------------------------------------------ writing

    def replace(self, holdings: Sequence[Holding], *, at: datetime) -> None:
        """All of these, or nothing.  StaleGeneration; Conflict if it does not fit; InvalidInput for what there is not."""
        consumers = self._locked([one.consumer_id for one in holdings])
        for one in holdings:
            _must_be_free(one, consumers.get(one.consumer_id))
        self._must_exist(holdings)
        before = self._held([one.consumer_id for one in holdings])
        providers = {provider for one in holdings for provider in one.amounts} | {row.provider_id for row in before}
        rows = Providers(self._session).of_ids(providers, lock=True)
        self._exchange(before, holdings)
        moved = {provider for one in holdings for provider in one.amounts}
        emptied = {one.consumer_id for one in holdings if not one.amounts}
        moved |= {row.provider_id for row in before if row.consumer_id in emptied}
        self._write(holdings, consumers, at)
        for provider in moved:
            rows[provider].generation += 1
        self._session.flush()

    def remove(self, consumer_id: str) -> None:
        """NotFound; Conflict for a server's"""
        known = as_uuid(consumer_id)
        consumers = self._locked([known]) if known else {}
        if known is None or known not in consumers:
            raise NotFound(f"No allocations for consumer '{consumer_id[:64]}'")
        if consumers[known].is_server:
            raise Conflict(_KEPT.format(known))
        before = self._held([known])
        Providers(self._session).of_ids({row.provider_id for row in before}, lock=True)
        self._use(_sums([(row.provider_id, row.resource_class, -row.used) for row in before]))
        self._session.execute(delete(AllocationRow).where(AllocationRow.consumer_id == known))
        self._session.execute(delete(ConsumerRow).where(ConsumerRow.id == known))

    def _locked(self, ids: Collection[UUID]) -> dict[UUID, ConsumerRow]:
        query = select(ConsumerRow).where(ConsumerRow.id.in_(ids)).order_by(ConsumerRow.id).with_for_update()
        return {row.id: row for row in self._session.scalars(query)}

    def _held(self, ids: Collection[UUID]) -> Sequence[AllocationRow]:
        return self._session.scalars(select(AllocationRow).where(AllocationRow.consumer_id.in_(ids))).all()

    def _must_exist(self, holdings: Sequence[Holding]) -> None:
        named = {provider for one in holdings for provider in one.amounts}
        if missing := named - set(Providers(self._session).of_ids(named)):
            raise InvalidInput(f"Allocation for resource provider '{min(missing)}' that does not exist.")
        classes = [name for one in holdings for amounts in one.amounts.values() for name in amounts]
        if (name := ResourceClasses(self._session).unknown(classes)) is not None:
            raise InvalidInput(
                f"Unable to allocate inventory for consumer {holdings[0].consumer_id}: No such resource class {name}."
            )

    def _exchange(self, before: Sequence[AllocationRow], holdings: Sequence[Holding]) -> None:
        """Count what is given back and what is taken; Conflict if that asks for more than there is.

        Less than before is always fine, even where more is held than there is.
        """
        given = _sums([(row.provider_id, row.resource_class, row.used) for row in before])
        parts = [
            (provider, name, amount)
            for one in holdings
            for provider, amounts in one.amounts.items()
            for name, amount in amounts.items()
        ]
        taken = _sums(parts)
        for provider, name, amount in parts:
            row = self._session.get(InventoryRow, (provider, name), populate_existing=True)
            if row is None:
                raise Conflict(_INVALID.format(name, provider))
            if not row.min_unit <= amount <= row.max_unit or amount % row.step_size:
                raise Conflict(_REFUSED.format(name, provider, "violate inventory constraints"))
            after = row.used - given.get((provider, name), 0) + taken[provider, name]
            if after > (row.total - row.reserved) * row.allocation_ratio and after > row.used:
                raise Conflict(_REFUSED.format(name, provider, "exceed the capacity"))
        self._use({key: taken.get(key, 0) - given.get(key, 0) for key in {*taken, *given}})

    def _use(self, changes: Mapping[tuple[UUID, str], int]) -> None:
        for key, change in changes.items():
            row = self._session.get(InventoryRow, key, populate_existing=True)
            if row is not None:
                row.used += change
        self._session.flush()

    def _write(self, holdings: Sequence[Holding], consumers: Mapping[UUID, ConsumerRow], at: datetime) -> None:
        ids = [one.consumer_id for one in holdings]
        self._session.execute(delete(AllocationRow).where(AllocationRow.consumer_id.in_(ids)))
        for one in holdings:
            row = consumers.get(one.consumer_id)
            if row is None and one.amounts:
                row = ConsumerRow(id=one.consumer_id, generation=0, created_at=at)
                self._session.add(row)
            if row is not None:
                row.project_id, row.user_id, row.kind = one.project_id, one.user_id, one.kind or row.kind
                row.generation += 1
        self._session.flush()
        for one in holdings:
            rows = [
                {"consumer_id": one.consumer_id, "provider_id": provider, "resource_class": name, "used": amount}
                | {"created_at": at}
                for provider, amounts in one.amounts.items()
                for name, amount in amounts.items()
            ]
            if rows:
                self._session.execute(insert(AllocationRow), rows)
        idle = [one.consumer_id for one in holdings if not one.amounts]
        self._session.execute(delete(ConsumerRow).where(ConsumerRow.id.in_(idle)))


_KEPT = "Consumer {} is a server of this cloud: what it holds follows what is done to the server."
_INVALID = "Unable to allocate inventory: Inventory for '{}' on resource provider '{}' invalid."
_REFUSED = (
    "Unable to allocate inventory: Unable to create allocation for '{}' on resource provider '{}'. "
    "The requested amount would {}."
)
_HELD = select(
    AllocationRow.provider_id,
    ProviderRow.generation,
    AllocationRow.resource_class,
    AllocationRow.used,
    AllocationRow.created_at,
).join(ProviderRow, ProviderRow.id == AllocationRow.provider_id)


def _must_be_free(wanted: Holding, row: ConsumerRow | None) -> None:
    """Nobody was quicker, and it is no server.  StaleGeneration, Conflict"""
    if wanted.seen != UNCHECKED and wanted.seen != (row.generation if row else None):
        expected = "null" if row is None else row.generation
        raise StaleGeneration(f"consumer generation conflict - expected {expected} but got {wanted.seen}")
    if row is not None and row.is_server:
        raise Conflict(_KEPT.format(row.id))


def _sums(parts: Collection[tuple[UUID, str, int]]) -> dict[tuple[UUID, str], int]:
    found: dict[tuple[UUID, str], int] = defaultdict(int)
    for provider, name, amount in parts:
        found[provider, name] += amount
    return dict(found)


def _owned(project_id: str | None, user_id: str | None, kind: str | None) -> list[Any]:
    found: list[Any] = []
    if project_id is not None:
        found.append(ConsumerRow.project_id == project_id)
    if user_id is not None:
        found.append(ConsumerRow.user_id == user_id)
    if kind is not None:
        found.append(ConsumerRow.kind.is_(None) if kind == "unknown" else ConsumerRow.kind == kind)
    return found
