"""Snapshots of volumes that a guest helps with.  No server has a volume here, so there is none to be helped with."""

from __future__ import annotations

import json

from fastapi import Request, Response
from pydantic import StrictStr

from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.operations import operation
from services.compute.api.asking import Body, Version, router
from services.compute.api.kit import KitOf
from services.compute.api.schemas.parts import Part, read

routes = router()
RULES = {
    "os_compute_api:os-assisted-volume-snapshots:create": "rule:admin_or_service",
    "os_compute_api:os-assisted-volume-snapshots:delete": "rule:admin_or_service",
}
NO_VOLUME = "No volume Block Device Mapping with id {}."


class SnapshotFacts(Part):
    snapshot_id: StrictStr
    type: StrictStr
    new_file: StrictStr
    id: StrictStr | None = None


class NewSnapshot(Part):
    volume_id: StrictStr
    create_info: SnapshotFacts


class AssistedSnapshot(Part):
    snapshot: NewSnapshot


@routes.post("/os-assisted-volume-snapshots")
@operation("os_compute_api:os-assisted-volume-snapshots:create", takes=AssistedSnapshot)
def create_snapshot(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-assisted-volume-snapshots:create", caller, {})
    asked = read(AssistedSnapshot, body, version).snapshot
    raise InvalidInput(NO_VOLUME.format(asked.volume_id[:64]))


@routes.delete("/os-assisted-volume-snapshots/{snapshot_id}")
@operation("os_compute_api:os-assisted-volume-snapshots:delete")
def delete_snapshot(snapshot_id: str, request: Request, caller: Caller, kit: KitOf) -> Response:
    """The query parameter `delete_info` is JSON and names the volume."""
    kit.must("os-assisted-volume-snapshots:delete", caller, {})
    try:
        volume_id = str(json.loads(request.query_params["delete_info"])["volume_id"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("Invalid delete_info: it must be JSON with a 'volume_id'") from error
    raise InvalidInput(NO_VOLUME.format(volume_id[:64]))
