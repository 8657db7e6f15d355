"""What the gateway answers by itself: the page at `/`, and how the cloud is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_gateway import answers
from api_gateway.edge import is_local
from api_gateway.services import WITH_SOCKETS
from common.errors import PlatformError
from common.http.json import Json
from common.settings import PlatformSettings

PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Own:
    """The application for paths that belong to no service."""

    platform: PlatformSettings
    services: Mapping[str, ASGIApp]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(scope)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            return Json(
                {"error": {"code": 405, "title": "Method Not Allowed", "message": "Only GET"}},
                405,
                {"allow": "GET, HEAD"},
            )
        match scope["path"]:
            case "/healthz":
                return Json({"service": "gateway", "status": "ok"})
            case "/readyz":
                return await self._health(for_operator=is_local(scope))
            case "/metrics":
                return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
        return answers.front_page(
            _wants_html(scope),
            cloud_id=self.platform.cloud_id,
            region=self.platform.region,
            public_url=self.platform.public_url,
            services=[name for name in self.services if name not in WITH_SOCKETS],  # a console is no API
        )

    async def _health(self, *, for_operator: bool) -> Response:
        """Asks all services at once.  What they remark is for the operator alone."""
        found = dict(zip(self.services, await asyncio.gather(*map(examined, self.services.values())), strict=True))
        remarks = {name: one.remarks for name, one in found.items() if one.remarks and for_operator}
        return answers.health({name: one.failing for name, one in found.items() if one.failing}, remarks)


@dataclass(frozen=True, slots=True)
class Examined:
    """What a service says is wrong with it; empty: nothing."""

    failing: str
    remarks: str = ""


async def examined(app: ASGIApp) -> Examined:
    try:
        async with asyncio.timeout(PATIENCE_S):
            status, body = await _ask(app, "/readyz")
    except TimeoutError:
        return Examined(f"no answer within {PATIENCE_S:g} s")
    except PlatformError as error:
        return Examined(error.message)
    remarks = _told(body, "remarks")
    return Examined("", remarks) if status == 200 else Examined(_told(body, "failing") or f"answers {status}", remarks)


def _told(body: bytes, what: str) -> str:
    try:
        return "; ".join(f"{part}: {why}" for part, why in orjson.loads(body)[what].items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


async def _ask(app: ASGIApp, path: str) -> tuple[int, bytes]:
    """Status and body of a GET that the gateway makes by itself."""
    got: dict[str, Any] = {"status": 0, "body": b""}
    over = asyncio.Event()
    told = False

    async def receive() -> Message:
        nonlocal told
        if told:
            await over.wait()
            return {"type": "http.disconnect"}
        told = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        got["status"] = message.get("status", got["status"])
        got["body"] += message.get("body", b"")

    try:
        await app(_scope(path), receive, send)
    finally:
        over.set()
    return got["status"], got["body"]


def _scope(path: str) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"gateway"), (b"accept", b"application/json")],
        "client": ("127.0.0.1", 0),
        "server": ("gateway", 80),
        "state": {},
    }


def _wants_html(scope: Scope) -> bool:
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return b"text/html" in accept
