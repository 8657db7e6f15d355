"""The filter `password_expires_at=lt:2016-12-08T22:02:00Z`.  Identity API v3, "List users"."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement

from common.errors import InvalidInput
from services.identity.api.schemas.auth import MALFORMED
from services.identity.db.tables import User

# fmt: off
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge, "eq": operator.eq, "neq": operator.ne,
}
# fmt: on


def expiring(asked: str) -> ColumnElement[bool]:
    """Users whose password ends then, or before, or after; those whose never does are in no answer.  InvalidInput"""
    how, colon, when = asked.partition(":")
    if not colon or "-" in how:
        how, when = "eq", asked
    if how not in OPERATORS:
        raise InvalidInput(
            f"The given operator {how[:16]} is not valid. It must be one of the following: "
            "'eq', 'neq', 'lt', 'lte', 'gt', or 'gte'."
        )
    found: ColumnElement[bool] = OPERATORS[how](User.password_expires_at, _time(when))
    return found


def _time(written: str) -> datetime:
    try:
        found = datetime.fromisoformat(written)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"Timestamp not in expected format. {MALFORMED}") from error
