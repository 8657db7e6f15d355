"""Pages by key: a page of 1 000 rows costs the same with 10³ and 10⁶ rows behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, or_
from sqlalchemy.orm import InstrumentedAttribute

S = TypeVar("S", bound=Select[*tuple[Any, ...]])

Sort = tuple[InstrumentedAttribute[Any], bool]
"""A column, and whether it descends."""


def in_order(query: S, sorts: Sequence[Sort]) -> S:
    """`query` ordered by `sorts`; the last of them must be unique.  Nulls come first when ascending, in both databases."""
    for column, descends in sorts:
        ordered = column.desc() if descends else column.asc()
        nullable = getattr(column.property.columns[0], "nullable", False)
        query = query.order_by((ordered.nulls_last() if descends else ordered.nulls_first()) if nullable else ordered)
    return query


def after(sorts: Sequence[Sort], marker: Sequence[Any]) -> ColumnElement[bool]:
    """The rows that come after the one whose sorted columns hold `marker`."""
    steps: list[ColumnElement[bool]] = []
    for index, (column, descends) in enumerate(sorts):
        equal = [_same(earlier, marker[at]) for at, (earlier, _) in enumerate(sorts[:index])]
        steps.append(and_(*equal, _beyond(column, marker[index], descends)))
    return and_(*_from(*sorts[0], marker[0]), or_(*steps))


def _from(column: InstrumentedAttribute[Any], descends: bool, value: Any) -> list[ColumnElement[bool]]:
    """Said once more, so that an index is entered at the marker: no database sees it in the alternatives."""
    if value is None or (descends and column.property.columns[0].nullable):
        return []
    return [column <= value if descends else column >= value]


def _same(column: InstrumentedAttribute[Any], value: Any) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _beyond(column: InstrumentedAttribute[Any], value: Any, descends: bool) -> ColumnElement[bool]:
    if value is None:  # nulls are the smallest
        return column.is_not(None) if not descends else column.is_(None) & column.is_not(None)
    return or_(column < value, column.is_(None)) if descends else column > value
