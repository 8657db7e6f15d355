"""Lists as Keystone answers them: rows, links, and `truncated` when there is more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Request, Response

from common.auth.callers import Caller
from common.errors import InvalidInput
from common.http.invalid import shown
from common.http.json import Json
from services.identity.api.kit import Kit, KitOf
from services.identity.db.lists import Page


def _page(request: Request, kit: KitOf) -> Page:
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
