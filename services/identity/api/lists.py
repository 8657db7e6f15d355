"""Lists as Keystone answers them: rows, links, and `truncated` when there is more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Request, Response
from sqlalchemy import Boolean, ColumnElement, Select, func
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.auth.callers import Caller
from common.errors import InvalidInput
from common.http.invalid import shown
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.db.lists import Page, page

T = TypeVar("T")

Columns = Mapping[str, InstrumentedAttribute[Any]]
"""Query parameter -> the column that it filters by."""

Inexact = Callable[[Any, str], ColumnElement[bool]]


def _ends(column: ColumnElement[Any], end: str) -> ColumnElement[bool]:
    return func.substr(column, func.length(column) - len(end) + 1) == end


# SQLite's LIKE does not tell a from A, PostgreSQL's does: these mean the same in both
# fmt: off
INEXACT: Mapping[str, Inexact] = {
    "contains":    lambda column, part: func.replace(column, part, "") != column,
    "icontains":   lambda column, part: func.replace(func.lower(column), part.lower(), "") != func.lower(column),
    "startswith":  lambda column, start: func.substr(column, 1, len(start)) == start,
    "istartswith": lambda column, start: func.lower(func.substr(column, 1, len(start))) == start.lower(),
    "endswith":    _ends,
    "iendswith":   lambda column, end: _ends(func.lower(column), end.lower()),
}
# fmt: on


async def _page(request: Request, kit: KitOf) -> Page:
    most = kit.settings.list_limit
    asked = request.query_params.get("limit")
    return Page(min(_number(asked) or most, most) if asked else most, request.query_params.get("marker") or None)


PageOf = Annotated[Page, Depends(_page)]


def _number(limit: str) -> int:
    text = shown(limit)
    if limit.startswith("-") and limit[1:].isdecimal():
        raise InvalidInput(
            f"Invalid input for field/attribute limit. Value: {text}. {text} is less than the minimum of 0"
        )
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 10):
        raise InvalidInput(f"Invalid input for field/attribute limit. Value: {text}. '{text}' is not of type 'integer'")
    return int(limit)


def flag(text: str | None) -> bool | None:
    """A filter's truth as Keystone reads it: all but a few words mean yes.  None: not asked for."""
    return None if text is None else text.lower() not in ("0", "false", "no", "off", "n", "f")


def wants(text: str | None) -> bool:
    """The same for an option that is off unless it is named."""
    return flag(text) is True


def asked_for(request: Request, columns: Columns) -> list[ColumnElement[bool]]:
    """What the query asks of the rows: `name=x`, or inexactly `name__contains=x`.  Other parameters are not ours."""
    found: list[ColumnElement[bool]] = []
    for key, value in request.query_params.multi_items():
        name, _, how = key.partition("__")
        if (column := columns.get(name)) is None:
            continue
        if isinstance(column.type, Boolean):
            found.append(column.is_(flag(value)))
        elif not how:
            found.append(column == value)
        elif how in INEXACT and value:
            found.append(INEXACT[how](column, value))
    return found


def answer(
    request: Request,
    kit: Kit,
    plural: str,
    query: Select[T],
    key: InstrumentedAttribute[str],
    asked: Page,
    shown: Callable[[Session, Sequence[T]], list[dict[str, Any]]],
) -> Response:
    """One page of `query`.  `shown` gets all rows at once, so as to ask once for what belongs to them."""
    with kit.database.reading() as session:
        rows, more = page(session, query, key, asked)
        return listed(request, kit, plural, shown(session, rows), more=more, limit=asked.limit)


def listed(
    request: Request,
    kit: Kit,
    name: str,
    rows: Sequence[dict[str, Any]],
    *,
    more: bool = False,
    limit: int | None = None,
) -> Response:
    """`{name: rows, "links": …}`; the next page starts after the last row's id."""
    url = kit.url + request.url.path.removeprefix("/v3")
    query = request.query_params.multi_items()
    links = {"next": None, "self": _with_query(url, query), "previous": None}
    body: dict[str, Any] = {name: rows, "links": links}
    if more:
        kept = [(key, value) for key, value in query if key not in ("limit", "marker")]
        links["next"] = _with_query(url, [*kept, ("limit", str(limit)), ("marker", str(rows[-1]["id"]))])
        body["truncated"] = True
    return Json(body)


def _with_query(url: str, query: Sequence[tuple[str, str]]) -> str:
    return f"{url}?{urlencode(query)}" if query else url


def reach(kit: Kit, rule: str, caller: Caller, asked: str | None) -> str | None:
    """The domain to list: what is asked for, or the caller's own if it may see no further.  Forbidden"""
    if kit.policy.allows("cloud_reader", caller):
        return asked
    domain_id = asked or caller.domain_id
    kit.policy.must(rule, caller, {"domain_id": domain_id})
    return domain_id
