"""How a service words an error on the wire: what each `api/faults.py` supplies, and the page for paths nobody knows."""

from __future__ import annotations

from typing import Protocol

from fastapi import Request, Response

from common.errors import PlatformError


class Faults(Protocol):
    """One API's error bodies."""

    def answer(self, request: Request, error: PlatformError) -> Response:
        """The response for `error`."""

    def unknown_path(self, request: Request) -> Response:
        """No route has this path."""

    def wrong_method(self, request: Request, allowed: str) -> Response:
        """The path is known, not with this method, but with those of `allowed`."""


def html_page(status: int, title: str, text: str) -> Response:
    """The plain page that Nova, Cinder and Glance send for what they do not route."""
    page = (
        f"<html>\n <head>\n  <title>{status} {title}</title>\n </head>\n <body>\n"
        f"  <h1>{status} {title}</h1>\n  {text}<br /><br />\n\n\n\n </body>\n</html>"
    )
    return Response(page, status, media_type="text/html; charset=UTF-8")
