"""`among(column, query)`: whether the column's value is one of a few that a query finds.

The same as `column.in_(query)`, but PostgreSQL finds the values first and then looks each of them up.  Of a recursive query it
believes that a thousand rows will come, and would read the whole table of the column rather than look one up.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ColumnElement, Select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Among(FunctionElement[bool]):
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        """A condition by itself: SQLite would be asked whether it equals 1, and no longer look an index up for it."""
        return self


def among(column: InstrumentedAttribute[Any], query: Select[Any]) -> ColumnElement[bool]:
    return _Among(column, query.scalar_subquery())


@compiles(_Among)
def _in(element: _Among, compiler: SQLCompiler, **how: Any) -> str:
    column, found = (compiler.process(one, **how) for one in element.clauses)
    return f"{column} IN {found}"


@compiles(_Among, "postgresql")
def _any(element: _Among, compiler: SQLCompiler, **how: Any) -> str:
    column, found = (compiler.process(one, **how) for one in element.clauses)
    return f"{column} = ANY (ARRAY{found})"
