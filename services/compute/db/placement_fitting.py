"""Queries that find what fits a question, or may fit it, before `core/allocation_candidates.py` looks at each."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.orm import aliased

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


def promising(question: Question, lent: Collection[str]) -> Select[UUID]:
    """Roots of trees that have enough of each resource somewhere, but of what is lent; in the order they were made."""
    asked = {part for group in question.groups.values() for part in group.resources.items() if part[0] not in lent}
    wanted = [has_somewhere(name, amount) for name, amount in sorted(asked)]
    if not lent:
        wanted += [_is_root_of(group.in_tree) for group in question.groups.values() if group.in_tree is not None]
    query = select(ProviderRow.id).where(ProviderRow.parent_id.is_(None), *wanted, *_of_roots(question))
    return query.order_by(ProviderRow.created_at, ProviderRow.id)


def lent_classes() -> Select[str]:
    """Resource classes that anybody lends."""
    lender = ProviderTraitRow.provider_id == InventoryRow.provider_id
    return select(InventoryRow.resource_class).join(ProviderTraitRow, lender).where(ProviderTraitRow.trait == SHARES)


def trees_of_lenders() -> Select[UUID]:
    """Their roots."""
    lender = ProviderTraitRow.provider_id == ProviderRow.id
    return select(ProviderRow.root_id).join(ProviderTraitRow, lender).where(ProviderTraitRow.trait == SHARES)


def has_somewhere(name: str, amount: int) -> ColumnElement[bool]:
    """Whether anybody in a provider's tree has that much of it."""
    other, stock = aliased(ProviderRow), aliased(InventoryRow)
    free: Any = (stock.total - stock.reserved) * stock.allocation_ratio - stock.used
    in_tree = (other.root_id == ProviderRow.root_id, stock.provider_id == other.id, stock.resource_class == name)
    return exists().where(*in_tree, free >= amount, stock.max_unit >= amount).correlate(ProviderRow)


def _is_root_of(provider_id: UUID) -> ColumnElement[bool]:
    named = aliased(ProviderRow)
    return ProviderRow.id == select(named.root_id).where(named.id == provider_id).scalar_subquery()


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
