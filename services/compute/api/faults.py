"""How this API words errors: `{"itemNotFound": {"code": 404, "message": …}}`, and a page for paths that nobody knows."""

from __future__ import annotations

import orjson
from fastapi import Request, Response

from common.errors import PlatformError, Unauthenticated, Unavailable
from common.http.faults import html_page

# fmt: off
KINDS = {
    400: "badRequest",         401: "unauthorized",       403: "forbidden",     404: "itemNotFound", 405: "badMethod",
    409: "conflictingRequest", 413: "overLimit",          415: "badMediaType",  429: "overLimit",
    501: "notImplemented",     503: "serviceUnavailable",
}
# fmt: on
NO_SUCH_PATH = "The resource could not be found."


class NotBuilt(PlatformError):
    """What Nova offers where there is a hypervisor or a service for it, and this cloud has none."""

    status, code = 501, "not.implemented"

    def __init__(self, message: str = "The requested functionality is not supported.") -> None:
        super().__init__(message)


class ComputeFaults:
    """Needs the address of identity for `WWW-Authenticate`."""

    def __init__(self, identity_url: str) -> None:
        self._identity_url = identity_url

    def answer(self, request: Request, error: PlatformError) -> Response:
        if isinstance(error, Unauthenticated):
            return self._unauthenticated(request, error)
        body = {KINDS.get(error.status, "computeFault"): {"code": error.status, "message": _told(request, error)}}
        headers = {"Retry-After": "1"} if error.status in (413, 503) else None
        return Response(orjson.dumps(body), error.status, headers, media_type="application/json; charset=UTF-8")

    def unknown_path(self, request: Request) -> Response:
        request.state.asked = None
        return html_page(404, "Not Found", NO_SUCH_PATH)

    def wrong_method(self, request: Request, allowed: str) -> Response:
        return self.unknown_path(request)

    def _unauthenticated(self, request: Request, error: PlatformError) -> Response:
        """In the words of the token check in front of OpenStack's services, which knows no versions."""
        request.state.asked = None
        body = {"error": {"code": 401, "title": "Unauthorized", "message": error.message}}
        challenge = {"WWW-Authenticate": f'Keystone uri="{self._identity_url}"'}
        return Response(orjson.dumps(body), 401, challenge, media_type="application/json")


def _told(request: Request, error: PlatformError) -> str:
    """What went wrong among ourselves may name hosts, paths or SQL: that is for the log, which has the same id."""
    if error.status < 500 or error.status == 501:
        return error.message
    mark = f"({type(error).__name__}, {getattr(request.state, 'request_id', 'no request id')})"
    if isinstance(error, Unavailable):
        return f"The service cannot answer at the moment. Please try again. {mark}"
    return f"An unexpected error prevented the server from fulfilling your request. {mark}"
