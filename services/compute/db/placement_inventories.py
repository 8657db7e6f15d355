"""Queries on what providers have, for the Placement API, and on all of it at once.  The caller commits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select, true
from sqlalchemy.orm import Session

from common.errors import NotFound
from services.compute.core.allocation_candidates import Candidate, Provider, Question, Search
from services.compute.core.placement import Stock
from services.compute.core.placement_faults import InventoryInUse
from services.compute.db.placement_fitting import fitting, is_plain, lent_classes, promising, related, trees_of_lenders
from services.compute.db.placement_tables import (
    InventoryRow,
    ProviderAggregateRow,
    ProviderRow,
    ProviderTraitRow,
)

Numbers = Mapping[str, int | float]
"""total, reserved, min_unit, max_unit, step_size, allocation_ratio"""
_ALL = true()
MOST_BY_ID = 5_000  # databases take so many values in one question


class Inventories:
    """Within one session; who changes something locks the provider before, and moves its generation on after."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, provider_id: UUID) -> Sequence[InventoryRow]:
        mine = select(InventoryRow).where(InventoryRow.provider_id == provider_id)
        return self._session.scalars(mine.order_by(InventoryRow.resource_class)).all()

    def find(self, provider_id: UUID, resource_class: str) -> InventoryRow:
        """NotFound"""
        if (row := self._session.get(InventoryRow, (provider_id, resource_class))) is None:
            raise NotFound(f"No inventory of class {resource_class[:255]} for {provider_id}")
        return row

    def put(self, provider_id: UUID, resource_class: str, numbers: Numbers) -> InventoryRow:
        """Make or change one; what is held of it stays held, even if it is more than there is now."""
        row = self._session.get(InventoryRow, (provider_id, resource_class))
        if row is None:
            row = InventoryRow(provider_id=provider_id, resource_class=resource_class, used=0)
            self._session.add(row)
        for name, number in numbers.items():
            setattr(row, name, number)
        self._session.flush()
        return row

    def replace(self, provider_id: UUID, wanted: Mapping[str, Numbers]) -> None:
        """Have exactly these.  InventoryInUse"""
        gone = [row for row in self.of(provider_id) if row.resource_class not in wanted]
        if held := [row.resource_class for row in gone if row.used]:
            raise InventoryInUse(
                f"update conflict: Inventory for '{', '.join(held)}' on resource provider '{provider_id}' in use."
            )
        for row in gone:
            self._session.delete(row)
        for name, numbers in wanted.items():
            self.put(provider_id, name, numbers)
        self._session.flush()

    def remove(self, provider_id: UUID, resource_class: str) -> None:
        """NotFound, InventoryInUse"""
        row = self._session.get(InventoryRow, (provider_id, resource_class))
        if row is None:
            raise NotFound(f"No inventory of class {resource_class[:255]} found for delete")
        if row.used:
            raise InventoryInUse(
                f"Unable to delete inventory of class {resource_class}: Inventory for '{resource_class}' on resource "
                f"provider '{provider_id}' in use."
            )
        mine = (InventoryRow.provider_id == provider_id, InventoryRow.resource_class == resource_class)
        self._session.execute(delete(InventoryRow).where(*mine))

    def search(self, question: Question) -> tuple[Search, list[Candidate]]:
        """Who could give what is asked for, and the search that found it."""
        few = question.limit is not None and question.limit <= MOST_BY_ID
        if few and is_plain(question) and not self._session.scalar(related()):
            first = self._session.scalars(fitting(question)).all()
            return _found(Search(self.everything(of=ProviderRow.id.in_(first)), question))
        trees = promising(question, set(self._session.scalars(lent_classes())))
        if few:  # mostly each of the first has a candidate
            first = self._session.scalars(trees.limit(question.limit)).all()
            search, found = self._among(first, question)
            if len(found) == question.limit or len(first) < (question.limit or 0):
                return search, found
        return self._among(self._session.scalars(trees).all(), question)

    def _among(self, trees: Sequence[UUID], question: Question) -> tuple[Search, list[Candidate]]:
        """Of these trees, by their roots; with who lends."""
        seen: ColumnElement[bool] = _ALL
        if len(trees) <= MOST_BY_ID:
            seen = or_(ProviderRow.root_id.in_(trees), ProviderRow.root_id.in_(trees_of_lenders()))
        return _found(Search(self.everything(of=seen), question, trees=set(trees)))

    def everything(self, *, of: ColumnElement[bool] = _ALL) -> list[Provider]:
        """Every provider with all that is asked of one, in the order in which they were made: four queries.

        `of`: only those of which that is true.
        """
        row, ours = InventoryRow, select(ProviderRow.id).where(of)
        stocks: dict[UUID, dict[str, Stock]] = defaultdict(dict)
        numbers = select(*_NUMBERS).where(row.provider_id.in_(ours)).order_by(row.resource_class)
        for found in self._session.execute(numbers):
            stocks[found.provider_id][found.resource_class] = Stock(*found[2:])
        traits: dict[UUID, set[str]] = defaultdict(set)
        told = select(ProviderTraitRow.provider_id, ProviderTraitRow.trait)
        for provider_id, trait in self._session.execute(told.where(ProviderTraitRow.provider_id.in_(ours))):
            traits[provider_id].add(trait)
        groups: dict[UUID, set[UUID]] = defaultdict(set)
        pairs = select(ProviderAggregateRow.provider_id, ProviderAggregateRow.aggregate_id)
        for provider_id, aggregate_id in self._session.execute(pairs.where(ProviderAggregateRow.provider_id.in_(ours))):
            groups[provider_id].add(aggregate_id)
        columns = select(ProviderRow.id, ProviderRow.root_id, ProviderRow.parent_id).where(of)
        return [
            Provider(
                id=row.id,
                root_id=row.root_id,
                parent_id=row.parent_id,
                stocks=stocks.get(row.id, {}),
                traits=frozenset(traits.get(row.id, ())),
                aggregates=frozenset(groups.get(row.id, ())),
            )
            for row in self._session.execute(columns.order_by(ProviderRow.created_at, ProviderRow.id))
        ]


def _found(search: Search) -> tuple[Search, list[Candidate]]:
    return search, search.candidates()


_I = InventoryRow
_NUMBERS = (
    _I.provider_id, _I.resource_class, _I.total, _I.reserved, _I.allocation_ratio, _I.used, _I.max_unit, _I.min_unit,
    _I.step_size,
)  # fmt: skip
"""The last seven in the order of a `Stock`."""
