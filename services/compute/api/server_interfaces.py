"""The interfaces of a server and their addresses.  Without a network service it has none, and these say so truthfully."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.auth.callers import Caller as Who
from common.errors import InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import action, operation
from services.compute.api.acting import ACTIONS, admitted
from services.compute.api.asking import Body, Version, must_exist, router
from services.compute.api.kit import Kit, KitOf, seen
from services.compute.api.schemas.attachments import AddFixedAddress, AddFloatingAddress, AttachInterface, OneAddress
from services.compute.api.schemas.parts import read
from services.compute.core.states import Action

routes = router()
READ, WRITE = "rule:project_reader_or_admin", "rule:project_member_or_admin"
RULES = {
    "os_compute_api:ips:index": READ,
    "os_compute_api:ips:show": READ,
    "os_compute_api:os-attach-interfaces:list": READ,
    "os_compute_api:os-attach-interfaces:show": READ,
    "os_compute_api:os-attach-interfaces:create": WRITE,
    "os_compute_api:os-attach-interfaces:delete": WRITE,
    "os_compute_api:os-multinic:add": WRITE,
    "os_compute_api:os-multinic:remove": WRITE,
    "os_compute_api:os-floating-ips:add": WRITE,
    "os_compute_api:os-floating-ips:remove": WRITE,
}
NO_PORT = "Port id {} could not be found."
LAST = 43  # since 2.44 addresses are the network service's alone


@routes.get("/servers/{server_id}/ips")
@operation("os_compute_api:ips:index")
def list_addresses(server_id: str, caller: Caller, kit: KitOf) -> Response:
    seen(server_id, "ips:index", caller, kit)
    return Json({"addresses": {}})


@routes.get("/servers/{server_id}/ips/{network}")
@operation("os_compute_api:ips:show")
def show_addresses(server_id: str, network: str, caller: Caller, kit: KitOf) -> Response:
    seen(server_id, "ips:show", caller, kit)
    raise NotFound("Instance is not a member of specified network")


@routes.get("/servers/{server_id}/os-interface")
@operation("os_compute_api:os-attach-interfaces:list")
def list_interfaces(server_id: str, caller: Caller, kit: KitOf) -> Response:
    seen(server_id, "os-attach-interfaces:list", caller, kit)
    return Json({"interfaceAttachments": []})


@routes.get("/servers/{server_id}/os-interface/{port_id}")
@operation("os_compute_api:os-attach-interfaces:show")
def show_interface(server_id: str, port_id: str, caller: Caller, kit: KitOf) -> Response:
    seen(server_id, "os-attach-interfaces:show", caller, kit)
    raise NotFound(NO_PORT.format(port_id[:64]))


@routes.post("/servers/{server_id}/os-interface")
@operation("os_compute_api:os-attach-interfaces:create", takes=AttachInterface)
def attach_interface(server_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    asked = read(AttachInterface, body if body is not None else {}, version).interface_attachment
    if asked.net_id and asked.port_id:
        raise InvalidInput("Must not input both network_id and port_id")
    if asked.fixed_ips and not asked.net_id:
        raise InvalidInput("Must input network_id when request IP address")
    admitted(Action.ATTACH_INTERFACE, "os-attach-interfaces:create", server_id, caller, kit)
    if asked.port_id:
        raise NotFound(NO_PORT.format(asked.port_id))
    if asked.net_id:
        raise NotFound(f"Network {asked.net_id} could not be found.")
    raise InvalidInput(f"No specific network was requested and none are available for project '{caller.project_id}'.")


@routes.delete("/servers/{server_id}/os-interface/{port_id}")
@operation("os_compute_api:os-attach-interfaces:delete")
def detach_interface(server_id: str, port_id: str, caller: Caller, kit: KitOf) -> Response:
    admitted(Action.DETACH_INTERFACE, "os-attach-interfaces:delete", server_id, caller, kit)
    raise NotFound(NO_PORT.format(port_id[:64]))


@action(ACTIONS, "addFixedIp", "os_compute_api:os-multinic:add", takes=AddFixedAddress)
def add_fixed_address(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    must_exist(1, version, LAST)
    network = read(AddFixedAddress, options, version).network_id
    seen(server_id, "os-multinic:add", caller, kit)
    raise InvalidInput(f"No fixed IP addresses available for network: {network}")


@action(ACTIONS, "removeFixedIp", "os_compute_api:os-multinic:remove", takes=OneAddress)
def remove_fixed_address(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    must_exist(1, version, LAST)
    address = read(OneAddress, options, version).address
    server = seen(server_id, "os-multinic:remove", caller, kit)
    raise InvalidInput(f"Instance {server.id} does not have fixed IP '{address}'.")


@action(ACTIONS, "addFloatingIp", "os_compute_api:os-floating-ips:add", takes=AddFloatingAddress)
def add_floating_address(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    must_exist(1, version, LAST)
    read(AddFloatingAddress, options, version)
    seen(server_id, "os-floating-ips:add", caller, kit)
    raise InvalidInput("Instance network is not ready yet")


@action(ACTIONS, "removeFloatingIp", "os_compute_api:os-floating-ips:remove", takes=OneAddress)
def remove_floating_address(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    must_exist(1, version, LAST)
    address = read(OneAddress, options, version).address
    seen(server_id, "os-floating-ips:remove", caller, kit)
    raise NotFound(f"Floating IP not found for address {address}.")
