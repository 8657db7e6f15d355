"""What hangs on a server.  Without a network and a volume service nothing does, and these say so truthfully."""

from __future__ import annotations

from fastapi import Response

from common.auth.callers import Caller as Who
from common.errors import NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import router
from services.compute.api.kit import Kit, KitOf, owner, scope_of
from services.compute.db.servers import STATE

routes = router()


@routes.get("/servers/{server_id}/ips")
@operation("os_compute_api:ips:index")
def list_addresses(server_id: str, caller: Caller, kit: KitOf) -> Response:
    _must_see(server_id, "ips:index", caller, kit)
    return Json({"addresses": {}})


@routes.get("/servers/{server_id}/ips/{network}")
@operation("os_compute_api:ips:show")
def show_addresses(server_id: str, network: str, caller: Caller, kit: KitOf) -> Response:
    _must_see(server_id, "ips:show", caller, kit)
    raise NotFound("Instance is not a member of specified network")


@routes.get("/servers/{server_id}/os-interface")
@operation("os_compute_api:os-attach-interfaces:list")
def list_interfaces(server_id: str, caller: Caller, kit: KitOf) -> Response:
    _must_see(server_id, "os-attach-interfaces:list", caller, kit)
    return Json({"interfaceAttachments": []})


@routes.get("/servers/{server_id}/os-volume_attachments")
@operation("os_compute_api:os-volumes-attachments:index")
def list_attachments(server_id: str, caller: Caller, kit: KitOf) -> Response:
    _must_see(server_id, "os-volumes-attachments:index", caller, kit)
    return Json({"volumeAttachments": []})


@routes.get("/servers/{server_id}/os-security-groups")
@operation("os_compute_api:os-security-groups:list")
def list_security_groups(server_id: str, caller: Caller, kit: KitOf) -> Response:
    _must_see(server_id, "os-security-groups:list", caller, kit)
    return Json({"security_groups": []})


def _must_see(server_id: str, rule: str, caller: Who, kit: Kit) -> None:
    with kit.reading() as tx:
        server = tx.servers.find(server_id, project_id=scope_of(caller), columns=STATE)
    kit.must(rule, caller, owner(server))
