"""In front of every route: reads the microversion, and answers with the version used."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.errors import InvalidInput
from common.http.faults import Faults
from services.compute.api.placement.microversions import HEADER, asked_by


class Edge:
    """Puts `asked` into the request's state; `asked` None there leaves the answer without a version."""

    def __init__(self, app: ASGIApp, *, faults: Faults) -> None:
        self.app, self.faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["asked"] = asked_by(Headers(scope=scope).getlist(HEADER))

        async def tell(message: Message) -> None:
            asked = state["asked"]
            if message["type"] == "http.response.start" and asked is not None and asked.text is not None:
                answered = MutableHeaders(scope=message)
                answered[HEADER], answered["vary"] = asked.text, HEADER
            await send(message)

        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            await self.faults.answer(Request(scope), InvalidInput("The address holds a NUL."))(scope, receive, tell)
            return
        await self.app(scope, receive, tell)
