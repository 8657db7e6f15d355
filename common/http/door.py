"""The middleware in front of every service: ids, limits, log line, metrics.  Plain ASGI, since every request pays for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common import log as ids
from common.auth.policy import checked
from common.errors import PlatformError, TooLarge
from common.floods import Flood
from common.http.audit import SECRET, Audit
from common.http.faults import Faults

log = logging.getLogger("http")

REQUESTS = Counter("pileus_http_requests_total", "Answers given", ("service", "method", "status"))
SECONDS = Histogram(
    "pileus_http_request_seconds",
    "Time to the end of the answer",
    ("service", "method"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
UNFORESEEN = "An unexpected error prevented the server from fulfilling your request."
QUIET = ("/healthz", "/readyz", "/metrics")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a request may bring."""

    body_bytes: int = 1_048_576
    streamed: Callable[[Scope], bool] = lambda scope: False  # requests whose bytes the route counts by itself


class Door:
    """Gives each request its id, bounds its body, words what nobody foresaw, and tells log and metrics how it ended."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        faults: Faults,
        limits: Limits,
        id_headers: tuple[str, ...],
        audit: Audit | None = None,
    ) -> None:
        self.app, self.service, self.faults = app, service, faults
        self.limits, self.id_headers, self.audit = limits, id_headers, audit
        self.refusals = Flood()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        own_id = ids.new_request_id()
        scope.setdefault("state", {})["request_id"] = own_id
        with (
            ids.bound(checked, {}),
            ids.bound(ids.request_id, own_id),
            ids.bound(ids.traceparent, ids.child_traceparent(headers.get("traceparent"))),
        ):
            await self._pass(scope, headers, receive, send, own_id)

    async def _pass(self, scope: Scope, headers: Headers, receive: Receive, send: Send, own_id: str) -> None:
        started, status, answered = time.perf_counter(), 0, MutableHeaders()

        async def tell(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = MutableHeaders(scope=message)
                for name in self.id_headers:
                    answered[name] = own_id
            await send(message)

        bounded = receive if self.limits.streamed(scope) else self._bounded(headers, receive)
        try:
            await self.app(scope, bounded, tell)
        except Exception as error:
            log.error("unforeseen error", exc_info=error)
            if status:  # too late for words: cut the connection, so that nobody takes half an answer for a whole one
                raise
            await self.faults.answer(Request(scope), PlatformError(UNFORESEEN))(scope, receive, tell)
        finally:
            rules = checked.get() or {}
            self._note(scope, headers, status, time.perf_counter() - started, rules)
            if self.audit is not None:
                self.audit.note(scope, headers, answered, status, rules)

    def _bounded(self, headers: Headers, receive: Receive) -> Callable[[], Awaitable[Message]]:
        declared = headers.get("content-length", "0")
        too_long = not declared.isdecimal() or int(declared) > self.limits.body_bytes
        taken = 0

        async def count() -> Message:
            nonlocal taken
            if too_long:
                raise TooLarge("Request is too large.")
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.limits.body_bytes:
                raise TooLarge("Request is too large.")
            return message

        return count

    def _note(self, scope: Scope, headers: Headers, status: int, seconds: float, rules: Mapping[str, bool]) -> None:
        REQUESTS.labels(self.service, scope["method"], status).inc()
        SECONDS.labels(self.service, scope["method"]).observe(seconds)
        strangers = 400 <= status < 500 and scope["state"].get("caller") is None
        if scope["path"].endswith(QUIET) or (strangers and not self.refusals.passes()):
            return
        facts: dict[str, Any] = {
            "service": self.service,
            "method": scope["method"],
            "path": _without_secrets(scope),
            "status": status,
            "ms": round(seconds * 1000, 1),
        }
        if given := headers.get("x-openstack-request-id"):
            facts["global_request_id"] = given[:80]
        if rules:
            facts["rules"] = ",".join(rules)
        log.info("answered", extra=facts | self.refusals.facts() if strangers else facts)


def _without_secrets(scope: Scope) -> str:
    """The path, without a token that stands in it."""
    path: str = scope["path"]
    for name, value in scope.get("path_params", {}).items():
        if SECRET.search(name):
            path = path.replace(str(value), "***")
    return path
