"""The volumes and shares of a server.  Without services that have them there are none, and these say so truthfully."""

from __future__ import annotations

from fastapi import Response

from common.errors import Conflict, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.acting import admitted
from services.compute.api.asking import Body, Version, between, router
from services.compute.api.kit import KitOf, known, owner, seen
from services.compute.api.schemas.attachments import AttachShare, AttachVolume, UpdateVolume
from services.compute.api.schemas.parts import read
from services.compute.api.volume_proxies import NO_VOLUME
from services.compute.core.states import Action, VmState
from services.compute.db.servers import as_uuid

routes = router()
READ, WRITE = "rule:project_reader_or_admin", "rule:project_member_or_admin"
VOLUMES, SHARES = "os_compute_api:os-volumes-attachments:", "os_compute_api:os-server-shares:"
RULES = {
    f"{of}{name}": check
    for of in (VOLUMES, SHARES)
    for name, check in {"index": READ, "show": READ, "create": WRITE, "delete": WRITE}.items()
} | {f"{VOLUMES}update": WRITE, f"{VOLUMES}swap": "rule:admin_or_service"}
UPDATE_SINCE, SHELVED_SINCE = 85, 20
SHELVED = (VmState.SHELVED, VmState.SHELVED_OFFLOADED)
WITH_SHARES = [between(97)]


@routes.get("/servers/{server_id}/os-volume_attachments")
@operation(f"{VOLUMES}index")
def list_volumes(server_id: str, caller: Caller, kit: KitOf) -> Response:
    seen(server_id, "os-volumes-attachments:index", caller, kit)
    return Json({"volumeAttachments": []})


@routes.get("/servers/{server_id}/os-volume_attachments/{volume_id}")
@operation(f"{VOLUMES}show")
def show_volume(server_id: str, volume_id: str, caller: Caller, kit: KitOf) -> Response:
    server = seen(server_id, "os-volumes-attachments:show", caller, kit)
    raise NotFound(f"Instance {server.id} is not attached to volume {volume_id[:64]}")


@routes.post("/servers/{server_id}/os-volume_attachments")
@operation(f"{VOLUMES}create", takes=AttachVolume)
def attach_volume(server_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    asked = read(AttachVolume, body, version).volume_attachment
    server = seen(server_id, "os-volumes-attachments:create", caller, kit)
    if version < SHELVED_SINCE and server.vm_state in SHELVED:
        raise Conflict(f"Cannot 'attach_volume' instance {server.id} while it is in vm_state {server.vm_state}")
    admitted(Action.ATTACH_VOLUME, "os-volumes-attachments:create", server_id, caller, kit)
    raise NotFound(NO_VOLUME.format(asked.volume_id))


@routes.put("/servers/{server_id}/os-volume_attachments/{volume_id}")
@operation(f"{VOLUMES}swap", f"{VOLUMES}update", takes=UpdateVolume)
def update_volume(server_id: str, volume_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Until 2.84, and with another volume's id, it exchanges the volume: what the volume service alone asks for."""
    asked = read(UpdateVolume, body, version).volume_attachment
    server = known(server_id, caller, kit)
    if version < UPDATE_SINCE or asked.volume_id != as_uuid(volume_id):
        kit.must("os-volumes-attachments:swap", caller, {})
        raise NotFound(NO_VOLUME.format(volume_id[:64]))
    kit.must("os-volumes-attachments:update", caller, owner(server))
    raise NotFound(f"No volume Block Device Mapping with id {asked.volume_id}.")


@routes.delete("/servers/{server_id}/os-volume_attachments/{volume_id}")
@operation(f"{VOLUMES}delete")
def detach_volume(server_id: str, volume_id: str, caller: Caller, kit: KitOf) -> Response:
    seen(server_id, "os-volumes-attachments:delete", caller, kit)
    raise NotFound(NO_VOLUME.format(volume_id[:64]))


@routes.get("/servers/{server_id}/shares", dependencies=WITH_SHARES)
@operation(f"{SHARES}index")
def list_shares(server_id: str, caller: Caller, kit: KitOf) -> Response:
    seen(server_id, "os-server-shares:index", caller, kit)
    return Json({"shares": []})


@routes.get("/servers/{server_id}/shares/{share_id}", dependencies=WITH_SHARES)
@operation(f"{SHARES}show")
def show_share(server_id: str, share_id: str, caller: Caller, kit: KitOf) -> Response:
    seen(server_id, "os-server-shares:show", caller, kit)
    raise NotFound(f"Share {share_id[:64]} could not be found.")


@routes.post("/servers/{server_id}/shares", dependencies=WITH_SHARES)
@operation(f"{SHARES}create", takes=AttachShare)
def attach_share(server_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    asked = read(AttachShare, body, version).share
    server = seen(server_id, "os-server-shares:create", caller, kit)
    if server.vm_state != VmState.STOPPED:
        raise Conflict(f"Cannot 'create share' instance {server.id} while it is in vm_state {server.vm_state}")
    raise NotFound(f"Share {asked.share_id} could not be found.")


@routes.delete("/servers/{server_id}/shares/{share_id}", dependencies=WITH_SHARES)
@operation(f"{SHARES}delete")
def detach_share(server_id: str, share_id: str, caller: Caller, kit: KitOf) -> Response:
    seen(server_id, "os-server-shares:delete", caller, kit)
    raise NotFound(f"Share {share_id[:64]} could not be found.")
