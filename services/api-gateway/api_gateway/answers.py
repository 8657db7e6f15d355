"""What the gateway says by itself: refusals, health, and the page at `/`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import HTMLResponse, Response

from common import log as ids
from common.errors import PlatformError
from common.http.json import Json

RETRY_AFTER_S = 2


def refusal(error: PlatformError, *, status: int | None = None) -> Response:
    """An error as every OpenStack client can read it."""
    code = status or error.status
    body = {"error": {"code": code, "title": HTTPStatus(code).phrase, "message": error.message}}
    answer = Json(body, code)
    answer.headers["x-openstack-request-id"] = ids.new_request_id()
    if code in (429, 503):
        answer.headers["retry-after"] = str(RETRY_AFTER_S)
    return answer


def wrong_method(allowed: str) -> Response:
    body = {"error": {"code": 405, "title": "Method Not Allowed", "message": f"This path knows only {allowed}"}}
    return Json(body, 405, {"allow": allowed})


def raw_refusal(status: int, message: str) -> bytes:
    """The same as bytes of HTTP, for what never became a request."""
    title = HTTPStatus(status).phrase
    body = orjson.dumps({"error": {"code": status, "title": title, "message": message}})
    head = (
        f"HTTP/1.1 {status} {title}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def health(failing: Mapping[str, str], remarks: Mapping[str, str]) -> Response:
    """`remarks`: what is wrong without being in the way of an answer."""
    body: dict[str, Any] = {"service": "gateway", "status": "degraded" if failing else "ok", "failing": dict(failing)}
    body |= {"remarks": dict(remarks)} if remarks else {}
    return Json(body, 503 if failing else 200)


def front_page(wants_html: bool, *, cloud_id: str, region: str, public_url: str, services: Iterable[str]) -> Response:
    """Says what this is and where its services are."""
    links = {name: f"{public_url}/{name}" for name in services}
    facts: dict[str, Any] = {"name": "Pileus", "cloud_id": cloud_id, "region": region, "services": links}
    if not wants_html:
        return Json(facts)
    rows = "".join(f'<li><a href="{html.escape(url)}">{html.escape(name)}</a></li>' for name, url in links.items())
    page = HTMLResponse(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Pileus</title>"
        f"<h1>Pileus</h1><p>An OpenStack-compatible cloud, region {html.escape(region)}.</p><ul>{rows}</ul>"
    )
    page.headers["content-security-policy"] = "default-src 'none'; frame-ancestors 'none'"
    return page
