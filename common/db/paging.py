"""Pages by key: a page of 1 000 rows costs the same with 10³ and 10⁶ rows behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, or_, tuple_
from sqlalchemy.orm import InstrumentedAttribute

S = TypeVar("S", bound=Select[*tuple[Any, ...]])

Sort = tuple[InstrumentedAttribute[Any], bool]
"""A column, and whether it descends."""


def in_order(query: S, sorts: Sequence[Sort]) -> S:
    """`query` ordered by `sorts`; the last of them must be unique.  Nulls come first when ascending, in both databases."""
    for column, descends in sorts:
        ordered = column.desc() if descends else column.asc()
        query = query.order_by(
            (ordered.nulls_last() if descends else ordered.nulls_first()) if _may_lack(column) else ordered
        )
    return query


def after(sorts: Sequence[Sort], marker: Sequence[Any]) -> ColumnElement[bool]:
    """The rows that come after the one whose sorted columns hold `marker`."""
    column, descends = sorts[0]
    some = [] if descends and _may_lack(column) else _from(sorts, marker)
    return and_(*some, or_(*_steps(sorts, marker)))


def after_in_parts(sorts: Sequence[Sort], marker: Sequence[Any]) -> list[ColumnElement[bool]]:
    """The same rows in parts without overlap: of what may be null, an index is entered at one place for each part."""
    (column, descends), value = sorts[0], marker[0]
    if not _may_lack(column) or (value is not None and not descends):
        return [after(sorts, marker)]
    if value is not None:
        return [and_(*_from(sorts, marker), or_(*_steps(sorts, marker))), column.is_(None)]
    same = and_(column.is_(None), after(sorts[1:], marker[1:]))
    return [same] if descends else [same, column.is_not(None)]


def _may_lack(column: InstrumentedAttribute[Any]) -> bool:
    return bool(getattr(column.property.columns[0], "nullable", False))


def _steps(sorts: Sequence[Sort], marker: Sequence[Any]) -> Iterator[ColumnElement[bool]]:
    for index, (column, descends) in enumerate(sorts):
        equal = [_same(earlier, marker[at]) for at, (earlier, _) in enumerate(sorts[:index])]
        yield and_(*equal, _beyond(column, marker[index], descends))


def _from(sorts: Sequence[Sort], marker: Sequence[Any]) -> list[ColumnElement[bool]]:
    """Said once more of rows that have the first column, so that an index is entered at the marker: no database sees it in
    the alternatives."""
    (_, falls), columns, values = sorts[0], [], []
    for index, ((column, descends), value) in enumerate(zip(sorts, marker, strict=True)):
        if value is None or descends != falls or (index and descends and _may_lack(column)):
            break
        columns.append(column)
        values.append(value)
    if not columns:
        return []
    return [tuple_(*columns) <= tuple(values) if falls else tuple_(*columns) >= tuple(values)]


def _same(column: InstrumentedAttribute[Any], value: Any) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _beyond(column: InstrumentedAttribute[Any], value: Any, descends: bool) -> ColumnElement[bool]:
    if value is None:  # nulls are the smallest
        return column.is_not(None) if not descends else column.is_(None) & column.is_not(None)
    return or_(column < value, column.is_(None)) if descends else column > value
