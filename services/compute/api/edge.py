"""In front of every route: reads the microversion, takes a project id out of the path, answers with the version used."""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.errors import InvalidInput
from common.http.faults import Faults
from services.compute.api.microversions import LEGACY, STANDARD, VARY, Asked, asked_by

PROJECT_IN_PATH = re.compile(r"/v2\.1/([0-9a-f-]{32,36})(/.+)")  # catalogs of older clouds: /v2.1/%(project_id)s

SERVERS_ALIAS = re.compile(r"/v2\.1/os-volumes_boot((?:/[^/]+(?:/action)?)?)")
LAST_WITH_ALIAS = 102


class Edge:
    """Puts `asked` and `path_project` into the request's state; `asked` None there leaves the answer without a version."""

    def __init__(self, app: ASGIApp, *, faults: Faults) -> None:
        self.app, self.faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, state = Headers(scope=scope), scope.setdefault("state", {})
        state["asked"] = asked_by(headers.getlist(STANDARD), headers.getlist(LEGACY))
        state["path_project"] = None
        if scope["path"].startswith("/v2/") and scope["path"] != "/v2/":  # a client from before microversions
            state["asked"], scope["path"] = Asked(text=None), f"/v2.1{scope['path'][3:]}"
        if match := PROJECT_IN_PATH.fullmatch(scope["path"]):
            state["path_project"], scope["path"] = match[1], f"/v2.1{match[2]}"
        if (match := SERVERS_ALIAS.fullmatch(scope["path"])) and state["asked"].minor <= LAST_WITH_ALIAS:
            scope["path"] = f"/v2.1/servers{match[1]}"

        async def tell(message: Message) -> None:
            asked = state["asked"]
            if message["type"] == "http.response.start" and asked is not None and asked.text is not None:
                answered = MutableHeaders(scope=message)
                answered[STANDARD], answered[LEGACY] = f"compute {asked.text}", asked.text
                answered["Vary"] = VARY
            await send(message)

        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            await self.faults.answer(Request(scope), InvalidInput("The address holds a NUL."))(scope, receive, tell)
            return
        await self.app(scope, receive, tell)
