"""How placement words errors: `{"errors": [{"status", "title", "detail", "code", "request_id"}]}`; `code` since 1.23."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request, Response

from common.errors import PlatformError, StaleGeneration, Unavailable
from services.compute.api.placement.microversions import NEWEST, OLDEST

CONCURRENT_UPDATE, UNDEFINED = "placement.concurrent_update", "placement.undefined_code"
CODES_SINCE = 23
ORDINARY = "An unexpected error prevented the server from fulfilling your request."

# fmt: off
EXPLANATIONS = {
    400: "The server could not comply with the request since it is either malformed or otherwise incorrect.\n\n {}  ",
    403: "Access was denied to this resource.\n\n {}  ",
    404: "The resource could not be found.\n\n {}  ",
    405: "The method {method} is not allowed for this resource. \n\n {}",
    406: "The resource could not be generated that was acceptable to your browser (content of type application/json. \n\n {}",
    409: "There was a conflict when trying to complete your request.\n\n {}  ",
    413: "The body of your request was too large for this server.\n\n {}  ",
    415: "The request media type is not supported by this server.\n\n {}  ",
    503: "The server is currently unavailable. Please try again at a later time.\n\n {}  ",
}
# fmt: on


class PlacementFaults:
    """Needs the address of identity for `WWW-Authenticate`."""

    def __init__(self, identity_url: str) -> None:
        self._identity_url = identity_url

    def answer(self, request: Request, error: PlatformError) -> Response:
        if error.status == 401:
            return self._unauthenticated(request, error)
        asked = getattr(request.state, "asked", None)
        told: dict[str, Any] = {
            "status": error.status,
            "title": HTTPStatus(error.status).phrase,
            "detail": _detail(request, error),
        }
        if asked is not None and (asked.minor or 0) >= CODES_SINCE:
            told["code"] = _code(error)
        told["request_id"] = getattr(request.state, "request_id", None)
        if error.status == 406 and asked is not None and asked.minor is None:
            told |= {"max_version": f"1.{NEWEST}", "min_version": f"1.{OLDEST}"}
        return _response(error.status, {"errors": [told]}, {"Retry-After": "1"} if error.status == 503 else None)

    def unknown_path(self, request: Request) -> Response:
        return self.answer(request, _NoSuchPath(" "))

    def wrong_method(self, request: Request, allowed: str) -> Response:
        answer = self.answer(request, WrongMethod("The method specified is not allowed for this resource."))
        answer.headers["allow"] = allowed
        return answer

    def _unauthenticated(self, request: Request, error: PlatformError) -> Response:
        """In the words of the token check in front of OpenStack's services, which knows no versions."""
        request.state.asked = None
        body = {"error": {"code": 401, "title": "Unauthorized", "message": error.message}}
        return _response(401, body, {"WWW-Authenticate": f'Keystone uri="{self._identity_url}"'})


class _NoSuchPath(PlatformError):
    status, code = 404, "placement.no.such.path"


class WrongMethod(PlatformError):
    """The path is known, not with this method at this version."""

    status, code = 405, "placement.wrong.method"


def _detail(request: Request, error: PlatformError) -> str:
    if error.status >= 500 and not isinstance(error, Unavailable):
        return ORDINARY
    return EXPLANATIONS.get(error.status, "{}").replace("{method}", request.method).replace("{}", error.message, 1)


def _code(error: PlatformError) -> str:
    if isinstance(error, StaleGeneration):
        return CONCURRENT_UPDATE
    own = error.code.startswith("placement.") and not isinstance(error, _NoSuchPath | WrongMethod)
    return error.code if own else UNDEFINED


def _response(status: int, body: dict[str, Any], headers: dict[str, str] | None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")
