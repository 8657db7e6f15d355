"""Errors as Keystone words them."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request, Response

from common.errors import Forbidden, PlatformError, TooLarge, TooMany, Unauthenticated, Unavailable
from common.http.json import Json

VARY = {"vary": "X-Auth-Token"}
RETRY_AFTER_S = "5"
PAGE = "<!doctype html>\n<html lang=en>\n<title>{status} {title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n"


class IdentityFaults:
    """`url` is the public address of this API, with the version."""

    def __init__(self, url: str) -> None:
        self._challenge = f'Keystone uri="{url}"'

    def answer(self, request: Request, error: PlatformError) -> Response:
        headers = dict(VARY)
        if isinstance(error, Unauthenticated):
            headers["www-authenticate"] = self._challenge
        if isinstance(error, Unavailable | TooLarge):
            headers["retry-after"] = RETRY_AFTER_S
        if isinstance(error, TooMany):
            headers["retry-after"] = str(error.facts.get("retry_after_s", RETRY_AFTER_S))
        body = {"code": error.status, "message": _message(error), "title": HTTPStatus(error.status).phrase}
        return Json({"error": body}, error.status, headers=headers)

    def unknown_path(self, request: Request) -> Response:
        text = (
            "The requested URL was not found on the server. "
            "If you entered the URL manually please check your spelling and try again."
        )
        return _page(HTTPStatus.NOT_FOUND, text)

    def wrong_method(self, request: Request, allowed: str) -> Response:
        page = _page(HTTPStatus.METHOD_NOT_ALLOWED, "The method is not allowed for the requested URL.")
        page.headers["allow"] = allowed
        return page


def _message(error: PlatformError) -> str:
    if isinstance(error, Forbidden) and (rule := error.facts.get("rule")):
        return f"You are not authorized to perform the requested action: {rule}."
    return error.message


def _page(status: HTTPStatus, text: str) -> Response:
    page = PAGE.format(status=status.value, title=status.phrase, text=text)
    return Response(page, status, headers=VARY, media_type="text/html; charset=utf-8")
