"""The consoles' pages: two with the guest's screen, one with its serial line, and the files that they are made of.

Nothing on them comes from a guest but pixels and characters, no script stands in a page, and nothing comes from elsewhere.
The dashboard shows the same pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter, Request, Response

from common.errors import NotFound, Unavailable
from services.compute.console.kit import ConsoleKit

routes = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parent / "pages"
PAGES = {"vnc": "vnc.html", "spice": "spice.html", "serial": "serial.html"}
# fmt: off
FILES: Mapping[str, tuple[str, str]] = {  # name in a URL -> file, media type
    "console.css":    ("console.css",       "text/css"),
    "page.js":        ("page.js",           "text/javascript"),
    "vnc.js":         ("vnc.js",            "text/javascript"),
    "spice.js":       ("spice.js",          "text/javascript"),
    "serial.js":      ("serial.js",         "text/javascript"),
    "novnc.js":       ("bundles/novnc.js",  "text/javascript"),
    "spice-html5.js": ("bundles/spice-html5.js", "text/javascript"),
    "xterm.js":       ("bundles/xterm.js",  "text/javascript"),
    "xterm.css":      ("bundles/xterm.css", "text/css"),
}
# fmt: on
PLAIN = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@routes.get("/vnc")
@routes.get("/spice")
@routes.get("/serial")
def show_page(request: Request) -> Response:
    kit: ConsoleKit = request.app.state.kit
    name = PAGES[request.url.path.rpartition("/")[2]]
    headers = PLAIN | {"content-security-policy": policy(kit.origins), "cache-control": "no-store"}
    return Response((FOLDER / name).read_bytes(), headers=headers, media_type="text/html")


@routes.get("/assets/{name}")
def show_file(name: str) -> Response:
    """NotFound for any other name; Unavailable if the bundles were not made"""
    if name not in FILES:
        raise NotFound("There is no such file")
    file, kind = FILES[name]
    try:
        content = (FOLDER / file).read_bytes()
    except FileNotFoundError as error:
        raise Unavailable("The pages are not complete: run `make setup`", file=file) from error
    return Response(content, headers=PLAIN | {"cache-control": "public, max-age=600"}, media_type=kind)


def policy(origins: frozenset[str]) -> str:
    """Scripts, styles and connections of this origin alone; only the sites that may show consoles can frame it."""
    framed_by = " ".join(sorted(origins))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors 'self' {framed_by}"
    )
