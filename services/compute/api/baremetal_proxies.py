"""Machines without a hypervisor as this API showed them until 2.35.  This cloud has none, and never changed them from here."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.errors import InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import Body, Version, between, router
from services.compute.api.kit import KitOf
from services.compute.api.schemas.parts import Part, read

routes = router()
UNTIL = [between(1, 35)]
RULES = dict.fromkeys(
    ("os_compute_api:os-baremetal-nodes:list", "os_compute_api:os-baremetal-nodes:show"), "rule:admin"
)


class ChangePorts(Part):
    add_interface: Any = None
    remove_interface: Any = None


@routes.get("/os-baremetal-nodes", dependencies=UNTIL)
@operation("os_compute_api:os-baremetal-nodes:list")
def list_nodes(caller: Caller, kit: KitOf) -> Response:
    kit.must("os-baremetal-nodes:list", caller, {})
    return Json({"nodes": []})


@routes.get("/os-baremetal-nodes/{node_id}", dependencies=UNTIL)
@operation("os_compute_api:os-baremetal-nodes:show")
def show_node(node_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-baremetal-nodes:show", caller, {})
    raise NotFound(f"Node {node_id[:64]} could not be found.")


@routes.post("/os-baremetal-nodes", dependencies=UNTIL)
@operation()
def create_node(caller: Caller) -> Response:
    raise _elsewhere("node-create")


@routes.delete("/os-baremetal-nodes/{node_id}", dependencies=UNTIL)
@operation()
def delete_node(node_id: str, caller: Caller) -> Response:
    raise _elsewhere("node-delete")


@routes.post("/os-baremetal-nodes/{node_id}/action", dependencies=UNTIL)
@operation(takes=ChangePorts)
def change_ports(node_id: str, body: Body, caller: Caller, version: Version) -> Response:
    read(ChangePorts, body, version)
    for name in body:
        raise _elsewhere("port-create" if name == "add_interface" else "port-delete")
    raise InvalidInput("Malformed request body")


def _elsewhere(command: str) -> InvalidInput:
    return InvalidInput(f"Command not supported. Please use Ironic command {command} to perform this action.")
