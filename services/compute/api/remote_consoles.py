"""Consoles: addresses that open a guest's screen or serial line in a browser, once and soon."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Response

from common.auth.callers import Caller as Who
from common.auth.tokens import claims_of
from common.clock import utc_now
from common.errors import NotFound, PlatformError
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import action, operation
from services.compute.api.acting import ACTIONS
from services.compute.api.asking import Body, Version, must_exist, router
from services.compute.api.kit import Kit, KitOf, owner, scope_of
from services.compute.api.schemas.consoles import (
    OldConsole,
    RdpConsole,
    RemoteConsole,
    SerialConsole,
    SpiceConsole,
    VncConsole,
    must_be_words_of,
)
from services.compute.api.schemas.parts import read
from services.compute.core.consoles import ConsoleKind, hash_of, kind_of, must_be_on, not_ready
from services.compute.db.servers import STATE, Server
from services.compute.db.tables import ServerRow

routes = router()

RULE = "os_compute_api:os-remote-consoles"
SINCE, ANY_TYPE_SINCE, TLS_PORT_SINCE = 6, 31, 99
TOKEN_BYTES = 32
SHOWN_UNTIL_2_30 = "rdp-html5"  # the one type whose connection was told then


@routes.post("/servers/{server_id}/remote-consoles")
@operation(RULE, takes=RemoteConsole)
def create_console(server_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Where to open the console, with a token that is good once; since 2.6."""
    must_exist(SINCE, version)
    asked = read(RemoteConsole, body, version).remote_console
    must_be_words_of(version, asked)
    url = _address(server_id, asked.protocol, asked.kind, caller, kit)
    return Json({"remote_console": {"protocol": asked.protocol, "type": asked.kind, "url": url}})


@action(ACTIONS, "os-getVNCConsole", RULE, takes=VncConsole)
def get_vnc_console(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return _old(VncConsole, "vnc", server_id, options, caller, kit, version)


@action(ACTIONS, "os-getSPICEConsole", RULE, takes=SpiceConsole)
def get_spice_console(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return _old(SpiceConsole, "spice", server_id, options, caller, kit, version)


@action(ACTIONS, "os-getRDPConsole", RULE, takes=RdpConsole)
def get_rdp_console(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return _old(RdpConsole, "rdp", server_id, options, caller, kit, version)


@action(ACTIONS, "os-getSerialConsole", RULE, takes=SerialConsole)
def get_serial_console(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return _old(SerialConsole, "serial", server_id, options, caller, kit, version)


@routes.get("/os-console-auth-tokens/{console_token}")
@operation("os_compute_api:os-console-auth-tokens")
def show_token(console_token: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Which guest a token opens that was not used yet.  There is no port to go to: its bytes come through this cloud alone."""
    kit.must("os-console-auth-tokens", caller)
    with kit.reading() as tx:
        grant = tx.consoles.find(hash_of(console_token), utc_now())
    if grant is None:
        raise NotFound("Token not found")
    if version < ANY_TYPE_SINCE and grant.console_type != SHOWN_UNTIL_2_30:
        raise _NotTold("The requested console type details are not accessible")
    told = {"instance_uuid": str(grant.server_id), "host": grant.host, "port": None, "internal_access_path": None}
    if version >= TLS_PORT_SINCE:
        told["tls_port"] = None
    return Json({"console": told})


class _NotTold(PlatformError):
    status, code = 401, "not_told"


def _old(
    model: type[OldConsole], protocol: str, server_id: str, options: Any, caller: Who, kit: Kit, version: int
) -> Response:
    """The actions that there were before 2.6."""
    must_exist(1, version, SINCE - 1)
    kind = read(model, options, version).kind
    return Json({"console": {"type": kind, "url": _address(server_id, protocol, kind, caller, kit)}})


def _address(server_id: str, protocol: str, console_type: str, caller: Who, kit: Kit) -> str:
    """A new one.  NotFound, Forbidden, Conflict for a server that does not run, InvalidInput for what guests here don't have"""
    with kit.transaction() as tx:
        server = tx.servers.find(server_id, project_id=scope_of(caller), columns=(*STATE, ServerRow.power_state))
        kit.must("os-remote-consoles", caller, owner(server))
        if server.host is None:
            raise not_ready(server.id)
        kind = kind_of(protocol, console_type, tx.consoles.of_host(server.host))
        must_be_on(server.id, server.power_state)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now = utc_now()
        tx.consoles.add(
            {
                "token_hash": hash_of(token),
                "server_id": server.id,
                "host": server.host,
                "launched_at": server.launched_at,
                "kind": kind,
                "console_type": console_type,
                "caller": claims_of(caller),
                "expires_at": min(now + timedelta(seconds=kit.settings.console_token_s), caller.expires_at),
            }
        )
    return _url(kit, kind, token, server)


def _url(kit: Kit, kind: ConsoleKind, token: str, server: Server) -> str:
    """In a fragment the token stays with the browser: no request line, log or referrer has it."""
    page = f"{kit.console_url}/{kind}"
    if kit.settings.console_url_form == "query":
        return f"{page}?{urlencode({'path': f'console/socket?token={token}'}, quote_via=quote)}"
    return f"{page}#{urlencode({'token': token, 'title': server.name}, quote_via=quote)}"
