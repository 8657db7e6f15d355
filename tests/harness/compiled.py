"""A statement that was compiled for one test's database serves all others.

Each test has a database and so an engine of its own, and an engine compiles every statement anew: that was most of the time
of most tests.  SQLAlchemy keeps what is compiled by engine and dialect; here all engines keep it together, and dialects are
the same if they write the same.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

KEPT = 5000


def share() -> None:
    """From now on, in this process."""
    together: LRUCache[Any, Any] = LRUCache(KEPT)
    Engine._compiled_cache = property(lambda _: together, lambda _, own: None)  # type: ignore[assignment]
    DefaultDialect.__hash__ = _hash  # type: ignore[assignment,method-assign]
    DefaultDialect.__eq__ = _equal  # type: ignore[assignment,method-assign]


def _hash(dialect: DefaultDialect) -> int:
    return hash(_kind(dialect))


def _equal(dialect: DefaultDialect, other: object) -> bool:
    return isinstance(other, DefaultDialect) and _kind(dialect) == _kind(other)


def _kind(dialect: DefaultDialect) -> tuple[object, ...]:
    return (type(dialect), *(getattr(dialect, name, None) for name in ("_json_serializer", "_json_deserializer")))
