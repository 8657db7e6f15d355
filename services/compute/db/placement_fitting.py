"""The query that finds providers which fit a plain question: as `core/allocation_candidates.py` would, but not one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select

from services.compute.core.allocation_candidates import Group, Question
from services.compute.core.placement_names import SHARES
from services.compute.db.placement_tables import InventoryRow, ProviderAggregateRow, ProviderRow, ProviderTraitRow


def is_plain(question: Question) -> bool:
    """Whether one group is asked for, from anywhere."""
    return set(question.groups) == {""} and question.groups[""].in_tree is None and not question.same_subtrees


def related() -> Select[bool]:
    """Whether any provider has another one above it, or lends to others."""
    below = exists().where(ProviderRow.parent_id.is_not(None))
    lends = exists().where(ProviderTraitRow.trait == SHARES)
    return select(or_(below, lends))


def fitting(question: Question) -> Select[UUID]:
    """The first that fit a plain question, where none are related."""
    query = select(ProviderRow.id).where(*_wanted(question.groups[""]), *_of_roots(question))
    return query.order_by(ProviderRow.created_at, ProviderRow.id).limit(question.limit)


def _wanted(group: Group) -> Iterator[ColumnElement[bool]]:
    yield from (_has_stock(name, amount) for name, amount in group.resources.items())
    yield from (_has_trait(any_of) for any_of in group.required)
    yield from (_is_member(any_of) for any_of in group.member_of)
    if group.forbidden:
        yield ~_has_trait(group.forbidden)
    if group.not_member_of:
        yield ~_is_member(group.not_member_of)


def _of_roots(question: Question) -> Iterator[ColumnElement[bool]]:
    yield from (_has_trait([trait]) for trait in question.root_required)
    if question.root_forbidden:
        yield ~_has_trait(question.root_forbidden)


def _has_stock(name: str, amount: int) -> ColumnElement[bool]:
    row: Any = InventoryRow
    free = (row.total - row.reserved) * row.allocation_ratio - row.used
    allowed = and_(row.min_unit <= amount, row.max_unit >= amount, amount % row.step_size == 0)
    return exists().where(row.provider_id == ProviderRow.id, row.resource_class == name, free >= amount, allowed)


def _has_trait(any_of: Collection[str]) -> ColumnElement[bool]:
    row = ProviderTraitRow
    return exists().where(row.provider_id == ProviderRow.id, row.trait.in_(sorted(any_of)))


def _is_member(any_of: Collection[UUID]) -> ColumnElement[bool]:
    row = ProviderAggregateRow
    return exists().where(row.provider_id == ProviderRow.id, row.aggregate_id.in_(sorted(any_of)))
