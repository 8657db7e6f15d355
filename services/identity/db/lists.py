"""Filters and pages of lists.  Rows are in the order of their ids, which a marker names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

T = TypeVar("T")

Filters = Mapping[InstrumentedAttribute[Any], object | None]
"""Column -> the value it must have; None: any."""


@dataclass(frozen=True, slots=True)
class Page:
    """Up to `limit` rows that come after `marker`."""

    limit: int
    marker: str | None = None


def matching(query: Select[T], filters: Filters) -> Select[T]:
    return query.where(*(column == value for column, value in filters.items() if value is not None))


def page(session: Session, query: Select[T], key: InstrumentedAttribute[str], asked: Page) -> tuple[Sequence[T], bool]:
    """The rows, and whether there are more."""
    if asked.marker is not None:
        query = query.where(key > asked.marker)
    found = session.scalars(query.order_by(key).limit(asked.limit + 1)).all()
    return found[: asked.limit], len(found) > asked.limit
