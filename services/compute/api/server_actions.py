"""What is done to a server: `{"os-start": null}` and its like; one key names the action."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.auth.callers import Caller as Who
from common.errors import Conflict, InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import action, operation
from services.compute.api import (
    security_group_proxies,
    server_ends,
    server_images,
    server_insides,
    server_interfaces,
    server_locks,
    server_moves,
    server_power,
    server_rebuilds,
    server_shelves,
    server_sizes,
)  # their actions join the table
from services.compute.api.acting import ACTIONS
from services.compute.api.asking import Body, Version, router
from services.compute.api.kit import Kit, KitOf, known, owner, scope_of
from services.compute.api.removed import GONE_ACTIONS, Gone
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.servers import ConsoleLength
from services.compute.contract import ReadConsole
from services.compute.db.servers import STATE

JOINED = (
    server_power, server_locks, server_ends, server_rebuilds, server_insides, server_sizes, server_moves, server_images,
    server_shelves, server_interfaces, security_group_proxies,
)  # fmt: skip

routes = router()
MOST_BYTES = 102_400


@routes.post("/servers/{server_id}/action")
@operation(actions=ACTIONS)
def act_on_server(server_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Admit one action and answer at once; its saga does the work."""
    name = _name_of(body)
    if name in GONE_ACTIONS:
        known(server_id, caller, kit)
        raise Gone
    if name not in ACTIONS:
        raise InvalidInput(f"There is no such action: {name[:64]}")
    if len(body) > 1:
        other = next(key for key in body if key != name)
        raise InvalidInput(f"Additional properties are not allowed ({other!r:.64} was unexpected)")
    answer: Response = ACTIONS[name](server_id, body[name], caller, kit, version)
    return answer


def _name_of(body: Any) -> str:
    if not isinstance(body, dict) or not body:
        raise InvalidInput("Malformed request body")
    return str(next(iter(body)))


@action(ACTIONS, "os-getConsoleOutput", "os_compute_api:os-console-output", takes=ConsoleLength)
def _console_output(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """The newest part of what the guest wrote to its serial console; `length` is in lines."""
    lines = _lines(read(ConsoleLength, options, version).length)
    with kit.reading() as tx:
        server = tx.servers.find(server_id, project_id=scope_of(caller), columns=STATE)
    kit.must("os-console-output", caller, owner(server))
    if server.host is None:
        raise Conflict(f"Instance {server.id} is not ready")
    try:
        text = kit.bus.call(ReadConsole(server_id=server.id, most_bytes=MOST_BYTES), host=server.host)
    except NotFound as error:
        raise Conflict(f"Instance {server.id} is not ready") from error
    return Json({"output": text if lines is None else _last(text, lines)})


def _last(text: str, lines: int) -> str:
    """What ends the last of them begins no other."""
    return "\n".join(text.removesuffix("\n").split("\n")[-lines:]) if lines else ""


def _lines(given: Any) -> int | None:
    """How many; None and -1 are all.  InvalidInput"""
    if given is None:
        return None
    text = str(given)
    plain = text.removeprefix("-")
    if isinstance(given, bool) or not isinstance(given, int | str) or not (plain.isascii() and plain.isdigit()):
        kinds = "'integer', 'string', 'null'"
        reason = f"is not of type {kinds}" if not isinstance(given, str) else "does not match '^-?[0-9]+$'"
        raise InvalidInput(f"Invalid input for field/attribute length. Value: {text[:64]}. {given!r:.64} {reason}")
    if text.startswith("-") and text != "-1":
        raise InvalidInput(
            f"Invalid input for field/attribute length. Value: {text[:64]}. {text[:64]} is less than the minimum of -1"
        )
    return None if text == "-1" or len(plain) > 9 else int(text)
