"""Queries on resource providers, for the Placement API: trees of them, their traits and aggregates.  The caller commits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, InvalidInput, NotFound, StaleGeneration
from services.compute.core.placement_faults import DuplicateName, ProviderHasChildren, ProviderInUse
from services.compute.db.placement_tables import (
    AllocationRow,
    InventoryRow,
    ProviderAggregateRow,
    ProviderRow,
    ProviderTraitRow,
)
from services.compute.db.servers import as_uuid
from services.compute.db.tables import HostRow

CHANGED = "Another thread concurrently updated the resource provider data. Please retry your update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which providers.  Each set of `required` and `member_of` wants one of its members."""

    name: str | None = None
    id: UUID | None = None
    in_tree: UUID | None = None
    required: tuple[frozenset[str], ...] = ()
    forbidden: frozenset[str] = frozenset()
    member_of: tuple[frozenset[UUID], ...] = ()
    not_member_of: frozenset[UUID] = frozenset()
    resources: Mapping[str, int] = field(default_factory=dict)


class Providers:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def listed(self, wanted: Wanted) -> Sequence[ProviderRow]:
        """In the order in which they were made."""
        query = select(ProviderRow).order_by(ProviderRow.created_at, ProviderRow.id)
        if wanted.name:
            query = query.where(ProviderRow.name == wanted.name)
        if wanted.id is not None:
            query = query.where(ProviderRow.id == wanted.id)
        if wanted.in_tree is not None:
            root = select(ProviderRow.root_id).where(ProviderRow.id == wanted.in_tree).scalar_subquery()
            query = query.where(ProviderRow.root_id == root)
        return self._session.scalars(query.where(*_qualities(wanted))).all()

    def find(self, provider_id: str | UUID, *, lock: bool = False) -> ProviderRow:
        """NotFound.  A locked one stays as it is until the transaction ends."""
        known = provider_id if isinstance(provider_id, UUID) else as_uuid(provider_id)
        query = select(ProviderRow).where(ProviderRow.id == known)
        row = self._session.scalar(query.with_for_update() if lock else query) if known else None
        if row is None:
            raise NotFound(f"No resource provider with uuid {str(provider_id)[:64]} found")
        return row

    def of_ids(self, ids: Collection[UUID], *, lock: bool = False) -> dict[UUID, ProviderRow]:
        """Those that exist; locked in one order, so that two who want the same ones never wait for each other."""
        query = select(ProviderRow).where(ProviderRow.id.in_(ids)).order_by(ProviderRow.id)
        return {row.id: row for row in self._session.scalars(query.with_for_update() if lock else query)}

    def add(self, provider_id: UUID, name: str, parent_id: UUID | None, *, at: datetime) -> ProviderRow:
        """DuplicateName; InvalidInput for a parent that there is not."""
        refused = f'Unable to create resource provider "{name}", {provider_id}: Object action create failed because: '
        if parent_id == provider_id:
            raise InvalidInput(f"{refused}parent provider UUID cannot be same as UUID.")
        parent = self.of_ids([parent_id], lock=True).get(parent_id) if parent_id else None
        if parent_id and parent is None:
            raise InvalidInput(f"{refused}parent provider UUID does not exist.")
        self._must_be_new(provider_id, name)
        row = ProviderRow(id=provider_id, name=name, parent_id=parent_id, generation=0, created_at=at, updated_at=at)
        row.root_id = parent.root_id if parent else provider_id
        self._written(row, f"name: {name}")
        return row

    def change(self, row: ProviderRow, *, name: str, at: datetime) -> None:
        """DuplicateName; Conflict for a host, which the scheduler finds by its name."""
        if name != row.name and self._is_host(row):
            raise Conflict(f"Resource provider {row.id} is host {row.name}, whose name its agent decides.")
        if name != row.name and self._session.scalar(select(ProviderRow.id).where(ProviderRow.name == name)):
            raise DuplicateName(f"Conflicting resource provider {name} already exists.")
        row.name, row.updated_at = name, at
        self._written(row, name)

    def put_under(self, row: ProviderRow, parent_id: UUID | None, *, freely: bool) -> None:
        """Give it another parent, with all below it; not `freely`: only if it has none yet.  InvalidInput"""
        refused = f"Unable to save resource provider {row.id}: Object action update failed because: "
        if parent_id is None:
            if row.parent_id is not None and not freely:
                raise InvalidInput(f"{refused}un-parenting a provider is not currently allowed.")
            root = row.id
        else:
            parent = self.of_ids([parent_id]).get(parent_id)
            if parent is None:
                raise InvalidInput(f"{refused}parent provider UUID does not exist.")
            if row.parent_id not in (None, parent_id) and not freely:
                raise InvalidInput(f"{refused}re-parenting a provider is not currently allowed.")
            if parent_id in self._below(row):
                raise InvalidInput(f"{refused}creating loop in the provider tree is not allowed.")
            root = parent.root_id
        below = self._below(row)
        row.parent_id = parent_id
        self._session.flush()
        self._session.execute(update(ProviderRow).where(ProviderRow.id.in_(below)).values(root_id=root))
        self._session.refresh(row)

    def remove(self, row: ProviderRow) -> None:
        """ProviderHasChildren, ProviderInUse; Conflict for a host that is still there"""
        if self._session.scalar(select(ProviderRow.id).where(ProviderRow.parent_id == row.id).limit(1)):
            raise ProviderHasChildren(
                f"Unable to delete parent resource provider {row.id}: It has child resource providers."
            )
        if self._session.scalar(select(AllocationRow.used).where(AllocationRow.provider_id == row.id).limit(1)):
            raise ProviderInUse(f"Unable to delete resource provider {row.id}: Resource provider has allocations.")
        if self._is_host(row):
            raise Conflict(f"Resource provider {row.id} is host {row.name}; delete its compute service first.")
        self._session.execute(delete(ProviderRow).where(ProviderRow.id == row.id))

    def move_on(self, row: ProviderRow, seen: int | None = None) -> None:
        """The next generation.  StaleGeneration if the writer saw another one than there is."""
        if seen is not None and seen != row.generation:
            raise StaleGeneration(CHANGED)
        row.generation += 1
        self._session.flush()

    # ------------------------------------------------------------------ traits, aggregates

    def traits(self, provider_id: UUID) -> list[str]:
        mine = ProviderTraitRow.provider_id == provider_id
        return sorted(self._session.scalars(select(ProviderTraitRow.trait).where(mine)))

    def set_traits(self, row: ProviderRow, traits: Collection[str]) -> None:
        mine, has = ProviderTraitRow.provider_id == row.id, set(self.traits(row.id))
        if gone := has - set(traits):
            self._session.execute(delete(ProviderTraitRow).where(mine, ProviderTraitRow.trait.in_(gone)))
        if new := sorted(set(traits) - has):
            self._session.execute(insert(ProviderTraitRow), [{"provider_id": row.id, "trait": name} for name in new])
        if gone or new:
            self.move_on(row)

    def aggregates(self, provider_id: UUID) -> list[UUID]:
        mine = ProviderAggregateRow.provider_id == provider_id
        return sorted(self._session.scalars(select(ProviderAggregateRow.aggregate_id).where(mine)))

    def set_aggregates(self, row: ProviderRow, aggregates: Collection[UUID]) -> None:
        self._session.execute(delete(ProviderAggregateRow).where(ProviderAggregateRow.provider_id == row.id))
        if rows := [{"provider_id": row.id, "aggregate_id": one} for one in set(aggregates)]:
            self._session.execute(insert(ProviderAggregateRow), rows)

    # ------------------------------------------------------------------ inside

    def _below(self, row: ProviderRow) -> set[UUID]:
        """It and all below it, which stay so until the transaction ends."""
        of_tree = select(ProviderRow.id, ProviderRow.parent_id).where(ProviderRow.root_id == row.root_id)
        rows = self._session.execute(of_tree.with_for_update()).all()
        found, ahead = {row.id}, [row.id]
        while ahead:
            at = ahead.pop()
            children = [row.id for row in rows if row.parent_id == at and row.id not in found]
            found.update(children)
            ahead += children
        return found

    def _is_host(self, row: ProviderRow) -> bool:
        return self._session.scalar(select(HostRow.number).where(HostRow.id == row.id)) is not None

    def _must_be_new(self, provider_id: UUID, name: str) -> None:
        same = (ProviderRow.id == provider_id) | (ProviderRow.name == name)
        twins = self._session.execute(select(ProviderRow.id, ProviderRow.name).where(same)).all()
        told = [f"uuid: {provider_id}"] if any(one.id == provider_id for one in twins) else []
        told += [f"name: {name}"] if any(one.name == name for one in twins) else []
        if told:
            raise DuplicateName(f"Conflicting resource provider {', '.join(told)} already exists.")

    def _written(self, row: ProviderRow, told: str) -> None:
        """Somebody may have been quicker since we looked."""
        try:
            with self._session.begin_nested():
                self._session.add(row)
                self._session.flush()
        except IntegrityError as error:
            raise DuplicateName(f"Conflicting resource provider {told} already exists.") from error


def _qualities(wanted: Wanted) -> list[ColumnElement[bool]]:
    found = [_has_trait(any_of) for any_of in wanted.required]
    found += [_is_in(any_of) for any_of in wanted.member_of]
    found += [_has_room(name, amount) for name, amount in wanted.resources.items()]
    if wanted.forbidden:
        found.append(~_has_trait(wanted.forbidden))
    if wanted.not_member_of:
        found.append(~_is_in(wanted.not_member_of))
    return found


def _has_trait(any_of: Collection[str]) -> ColumnElement[bool]:
    row = ProviderTraitRow
    return exists().where(row.provider_id == ProviderRow.id, row.trait.in_(any_of))


def _is_in(any_of: Collection[UUID]) -> ColumnElement[bool]:
    row = ProviderAggregateRow
    return exists().where(row.provider_id == ProviderRow.id, row.aggregate_id.in_(any_of))


def _has_room(name: str, amount: int) -> ColumnElement[bool]:
    row = InventoryRow
    fits = and_(
        (row.total - row.reserved) * row.allocation_ratio - row.used >= amount,
        row.min_unit <= amount,
        row.max_unit >= amount,
        amount % row.step_size == 0,
    )
    return exists().where(row.provider_id == ProviderRow.id, row.resource_class == name, fits)
