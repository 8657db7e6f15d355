"""In front of every route: the header that caches need, and addresses that no text column can hold."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.errors import InvalidInput
from services.identity.api.faults import IdentityFaults


class Edge:
    """Adds `Vary: X-Auth-Token`; refuses a NUL in the path or the query."""

    def __init__(self, app: ASGIApp, *, faults: IdentityFaults) -> None:
        self.app, self.faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["vary"] = "X-Auth-Token"
            await send(message)

        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            await self.faults.answer(Request(scope), InvalidInput("The address holds a NUL."))(scope, receive, tell)
            return
        await self.app(scope, receive, tell)
