"""Column types that mean the same in SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Index, MetaData, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

from common.clock import utc_now as utc_now

Json = JSON().with_variant(JSONB(), "postgresql")

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def only_in(dialect: str, index: Index) -> Index:
    """An index that databases of one kind alone have."""
    index.info["dialect"] = dialect
    return index.ddl_if(dialect=dialect)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, to the microsecond."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone must not reach the database")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)  # type: ignore[no-any-return]


class Table(DeclarativeBase):
    """Root of one service's tables: subclass it once per service, so that each has its own metadata."""

    __abstract__ = True
    type_annotation_map = {datetime: UtcDateTime}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if Table in cls.__bases__ and "metadata" not in cls.__dict__:
            cls.metadata = MetaData(naming_convention=NAMES)
        super().__init_subclass__(**kwargs)
