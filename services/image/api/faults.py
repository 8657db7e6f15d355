"""How this API words errors: a page, JSON or plain text, as the client's Accept header asks."""

from __future__ import annotations

from html import escape
from http import HTTPStatus

from fastapi import Request, Response

from common.errors import NotFound, PlatformError
from common.http.faults import html_page
from common.http.json import Json
from services.image.core.patches import MEDIA_TYPES

NO_SUCH_PATH = "The resource could not be found."
SPECIAL = {"application/json": "json", "text/html": "html"}


class ImageFaults:
    """Needs the address of identity for `WWW-Authenticate`."""

    def __init__(self, identity_url: str) -> None:
        self._identity_url = identity_url

    def answer(self, request: Request, error: PlatformError) -> Response:
        response = _worded(request, error.status, error.message)
        if error.status == 401:
            response.headers["www-authenticate"] = f'Keystone uri="{self._identity_url}"'
        if error.status == 415 and request.method == "PATCH":
            response.headers["accept-patch"] = ", ".join(MEDIA_TYPES)
        return response

    def unknown_path(self, request: Request) -> Response:
        return _worded(request, NotFound.status, NO_SUCH_PATH)

    def wrong_method(self, request: Request, allowed: str) -> Response:
        response = _worded(request, 405, f"The method {request.method} is not allowed for this resource.")
        response.headers["allow"] = allowed
        return response


def _worded(request: Request, status: int, message: str) -> Response:
    title = HTTPStatus(status).phrase
    form = preferred(request.headers.get("accept"))
    if form == "html":
        return html_page(status, title, escape(message))
    if form == "json":
        body = {"message": f"{message}<br /><br />\n\n\n", "code": f"{status} {title}", "title": title}
        return Json(body, status)
    return Response(f"{status} {title}\n\n{message}\n\n\n", status, media_type="text/plain; charset=UTF-8")


def preferred(accept: str | None) -> str:
    """What the header likes best: "html", "json" or "text"; a page where it has no preference.

    Text is for those who send no such header.  openstacksdk uploads with an empty one, and shows the reason only of a page.
    """
    if accept is None:
        return "text"
    if not accept.strip():
        return "html"
    best, form = 0.0, "text"
    for part in accept.split(","):
        kind, *parameters = (one.strip().lower() for one in part.split(";"))
        weight = _weight(parameters)
        found = SPECIAL.get(kind) or (
            "html" if kind in ("*/*", "text/*") else "json" if kind == "application/*" else None
        )
        if found and (weight > best or (weight == best and found == "html")):
            best, form = weight, found
    return form


def _weight(parameters: list[str]) -> float:
    for one in parameters:
        if one.startswith("q="):
            try:
                return float(one[2:])
            except ValueError:
                return 0.0
    return 1.0
