"""What every route takes from a request before it looks at anything: version, query, body."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response

from common.errors import InvalidInput, NotFound, Unsupported
from common.http.identity import Caller
from common.http.invalid import strict_json
from services.compute.api.faults import NO_SUCH_PATH
from services.compute.api.microversions import NEWEST, Asked
from services.compute.api.queries import must_be_known

NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
MEDIA_TYPES = ("application/json", "application/vnd.openstack.compute+json")


async def version_of(request: Request, caller: Caller) -> int:
    """The minor number that this request is answered at.  InvalidInput, NotAcceptable"""
    asked: Asked = request.state.asked
    if asked.error is not None:
        raise asked.error
    in_path = request.state.path_project
    if in_path is not None and in_path != caller.project_id:
        raise InvalidInput(
            f"Malformed request URL: URL's project_id '{in_path}' doesn't match Context's project_id '{caller.project_id}'"
        )
    must_be_known(request.scope["route"].path, request.query_params, asked.minor, method=request.method)
    return asked.minor


async def body_of(request: Request) -> Any:
    """The request's JSON; None if it has none.  InvalidInput, Unsupported"""
    data = await request.body()
    if not data:
        return None
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind and kind not in MEDIA_TYPES:
        raise Unsupported("Unsupported Content-Type")
    try:
        return storable(strict_json(data))
    except InvalidInput as error:
        raise InvalidInput("Malformed request body") from error


def storable(body: Any) -> Any:
    """The body, if every text in it can be kept: no NUL, no half of a surrogate pair, no number past 64 bits.  InvalidInput"""
    try:
        if NUL.search(orjson.dumps(body)):
            raise InvalidInput("A text in the body holds a NUL")
    except TypeError as error:
        raise InvalidInput("The body holds what no database can") from error
    return body


Version = Annotated[int, Depends(version_of)]
Body = Annotated[Any, Depends(body_of)]


def router() -> APIRouter:
    """For one noun below /v2.1; each of its routes needs a token and a version that we have."""
    return APIRouter(prefix="/v2.1", dependencies=[Depends(version_of)], default_response_class=Response)


def between(since: int, until: int = NEWEST) -> Any:
    """The route exists only at these versions; elsewhere it is 404, as if it were not there."""

    async def check(version: Version) -> None:
        must_exist(since, version, until)

    checked: Callable[[int], Coroutine[Any, Any, None]] = check
    return Depends(checked)


def must_exist(since: int, version: int, until: int = NEWEST) -> None:
    """NotFound outside of these versions."""
    if not since <= version <= until:
        raise NotFound(NO_SUCH_PATH)


def empty(status: int = 202) -> Response:
    """No body, but the media type that clients are used to."""
    return Response(b"", status, media_type="application/json")
