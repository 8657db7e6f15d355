"""Volumes and their snapshots as this API showed them until 2.35.  This cloud has none: the lists are empty."""

from __future__ import annotations

from fastapi import Response

from common.errors import NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import Body, Version, between, router
from services.compute.api.faults import NotBuilt
from services.compute.api.kit import KitOf
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.proxies import CreateSnapshot, CreateVolume

routes = router()
UNTIL = [between(1, 35)]
READ, WRITE = "rule:project_reader_or_admin", "rule:project_member_or_admin"
RULE = "os_compute_api:os-volumes:"
RULES = {
    f"{RULE}{of}{name}": check
    for of in ("", "snapshots:")
    for name, check in {"list": READ, "detail": READ, "show": READ, "create": WRITE, "delete": WRITE}.items()
}
NO_VOLUME, NO_SNAPSHOT = "Volume {} could not be found.", "Snapshot {} could not be found."


@routes.get("/os-volumes", dependencies=UNTIL)
@operation(f"{RULE}list")
def list_volumes(caller: Caller, kit: KitOf) -> Response:
    kit.must("os-volumes:list", caller)
    return Json({"volumes": []})


@routes.get("/os-volumes/detail", dependencies=UNTIL)
@operation(f"{RULE}detail")
def list_volumes_whole(caller: Caller, kit: KitOf) -> Response:
    kit.must("os-volumes:detail", caller)
    return Json({"volumes": []})


@routes.post("/os-volumes", dependencies=UNTIL)
@operation(f"{RULE}create", takes=CreateVolume)
def create_volume(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-volumes:create", caller)
    asked = read(CreateVolume, body, version).volume
    if asked.snapshot_id is not None:
        raise NotFound(NO_SNAPSHOT.format(asked.snapshot_id[:64]))
    raise NotBuilt


@routes.get("/os-volumes/{volume_id}", dependencies=UNTIL)
@operation(f"{RULE}show")
def show_volume(volume_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-volumes:show", caller)
    raise NotFound(NO_VOLUME.format(volume_id[:64]))


@routes.delete("/os-volumes/{volume_id}", dependencies=UNTIL)
@operation(f"{RULE}delete")
def delete_volume(volume_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-volumes:delete", caller)
    raise NotFound(NO_VOLUME.format(volume_id[:64]))


@routes.get("/os-snapshots", dependencies=UNTIL)
@operation(f"{RULE}snapshots:list")
def list_snapshots(caller: Caller, kit: KitOf) -> Response:
    kit.must("os-volumes:snapshots:list", caller)
    return Json({"snapshots": []})


@routes.get("/os-snapshots/detail", dependencies=UNTIL)
@operation(f"{RULE}snapshots:detail")
def list_snapshots_whole(caller: Caller, kit: KitOf) -> Response:
    kit.must("os-volumes:snapshots:detail", caller)
    return Json({"snapshots": []})


@routes.post("/os-snapshots", dependencies=UNTIL)
@operation(f"{RULE}snapshots:create", takes=CreateSnapshot)
def create_snapshot(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-volumes:snapshots:create", caller)
    raise NotFound(NO_VOLUME.format(read(CreateSnapshot, body, version).snapshot.volume_id[:64]))


@routes.get("/os-snapshots/{snapshot_id}", dependencies=UNTIL)
@operation(f"{RULE}snapshots:show")
def show_snapshot(snapshot_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-volumes:snapshots:show", caller)
    raise NotFound(NO_SNAPSHOT.format(snapshot_id[:64]))


@routes.delete("/os-snapshots/{snapshot_id}", dependencies=UNTIL)
@operation(f"{RULE}snapshots:delete")
def delete_snapshot(snapshot_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-volumes:snapshots:delete", caller)
    raise NotFound(NO_SNAPSHOT.format(snapshot_id[:64]))
