"""How the consoles word errors: like everything of OpenStack that has no words of its own."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request, Response

from common.errors import NotFound, PlatformError
from common.http.json import Json


class ConsoleFaults:
    def answer(self, request: Request, error: PlatformError) -> Response:
        return _worded(error.status, error.message)

    def unknown_path(self, request: Request) -> Response:
        return _worded(NotFound.status, "The resource could not be found.")

    def wrong_method(self, request: Request, allowed: str) -> Response:
        response = _worded(405, "Only GET")
        response.headers["allow"] = allowed
        return response


def _worded(status: int, message: str) -> Response:
    return Json({"error": {"code": status, "title": HTTPStatus(status).phrase, "message": message}}, status)
