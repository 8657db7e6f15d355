"""What every route of placement takes from a request: version, body, query; and how it answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from common.clock import utc_now
from common.errors import InvalidInput, NotFound, Unsupported
from common.http.identity import Caller
from common.http.invalid import parsed, strict_json
from common.http.json import Json
from services.compute.api.asking import storable
from services.compute.api.microversions import NotAcceptable
from services.compute.api.placement.microversions import NEWEST, Asked

M = TypeVar("M", bound=BaseModel)
JSON = "application/json"
MODIFIED_SINCE = 15


async def version_of(request: Request, caller: Caller) -> int:
    """The minor number that this request is answered at.  InvalidInput, NotAcceptable"""
    asked: Asked = request.state.asked
    if asked.error is not None:
        raise asked.error
    if request.method == "GET" and not _takes_json(request.headers.get("accept", "")):
        raise NotAcceptable("Only application/json is provided")
    if not request.headers.get("content-type") and request.headers.get("content-length", "0") != "0":
        raise InvalidInput("content-type header required when content-length > 0")
    return asked.minor or 0


def _takes_json(accept: str) -> bool:
    kinds = [part.split(";")[0].strip().lower() for part in accept.split(",") if part.strip()]
    return not kinds or any(kind in (JSON, "application/*", "*/*") for kind in kinds)


async def body_of(request: Request) -> Any:
    """The request's JSON.  InvalidInput, Unsupported"""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != JSON:
        raise Unsupported(f"The media type {kind[:64] or 'None'} is not supported, use {JSON}")
    try:
        return storable(strict_json(await request.body()))
    except InvalidInput as error:
        raise InvalidInput(f"Malformed JSON: {error.message}") from error


Version = Annotated[int, Depends(version_of)]
Body = Annotated[Any, Depends(body_of)]


def router() -> APIRouter:
    """For one noun; each of its routes needs a token and a version that we have."""
    return APIRouter(dependencies=[Depends(version_of)], default_response_class=Response)


def between(since: int, until: int = NEWEST) -> Any:
    """The route exists only at these versions; elsewhere it is 404, as if it were not there."""

    async def check(version: Version) -> None:
        if not since <= version <= until:
            raise NotFound(" ")

    return Depends(check)


def read(model: type[M], body: Any) -> M:
    """InvalidInput"""
    try:
        return parsed(model, body)
    except InvalidInput as error:
        raise InvalidInput(f"JSON does not validate: {error.message}") from error


def pairs_of(request: Request) -> Sequence[tuple[str, str]]:
    """The query, in the order in which it was written."""
    return request.query_params.multi_items()


def must_be_known(request: Request, names: Collection[str]) -> None:
    """InvalidInput for a query parameter of another name."""
    if unknown := [name for name in request.query_params if name not in names]:
        raise InvalidInput(
            f"Invalid query string parameters: Additional properties are not allowed ({unknown[0][:64]!r} was unexpected)"
        )


def answer(content: Any, version: int, *, modified: datetime | None = None, status: int = 200) -> Response:
    """Since 1.15 an answer says how old it is; what changes all the time is of now."""
    return Json(content, status, _age(version, modified))


def nothing(
    version: int, *, status: int = 204, location: str | None = None, modified: datetime | None = None
) -> Response:
    """No body; `modified` None: and no age either."""
    headers = {"location": location} if location is not None else {}
    return Response(status_code=status, headers=headers | (_age(version, modified) if modified is not None else {}))


def _age(version: int, modified: datetime | None) -> dict[str, str]:
    if version < MODIFIED_SINCE:
        return {}
    return {"last-modified": format_datetime(modified or utc_now(), usegmt=True), "cache-control": "no-cache"}
