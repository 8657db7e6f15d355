"""A server's metadata: keys and values of its owner's."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Response

from common.auth.callers import Caller as Who
from common.errors import InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.acting import allowed
from services.compute.api.asking import Body, Version, empty, router
from services.compute.api.kit import Kit, KitOf, Tx, owner, scope_of
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.servers import AllMetadata, OneItem
from services.compute.core.states import must_be_settled
from services.compute.db.servers import STATE, Server

routes = router()
PATH = "/servers/{server_id}/metadata"


@routes.get(PATH)
@operation("os_compute_api:server-metadata:index")
def list_metadata(server_id: str, caller: Caller, kit: KitOf) -> Response:
    return Json({"metadata": _seen(server_id, "index", caller, kit)})


@routes.get(PATH + "/{key}")
@operation("os_compute_api:server-metadata:show")
def show_item(server_id: str, key: str, caller: Caller, kit: KitOf) -> Response:
    found = _seen(server_id, "show", caller, kit)
    if key not in found:
        raise NotFound("Metadata item was not found")
    return Json({"meta": {key: found[key]}})


@routes.post(PATH)
@operation("os_compute_api:server-metadata:create", takes=AllMetadata)
def add_metadata(server_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """New items join the others."""
    given = read(AllMetadata, body, version).metadata
    with kit.transaction() as tx:
        server = _taken(tx, server_id, "create", caller, kit)
        return Json({"metadata": _write(tx, server, server.attributes | given)})


@routes.put(PATH)
@operation("os_compute_api:server-metadata:update_all", takes=AllMetadata)
def replace_metadata(server_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """What is not given is gone."""
    given = read(AllMetadata, body, version).metadata
    with kit.transaction() as tx:
        return Json({"metadata": _write(tx, _taken(tx, server_id, "update_all", caller, kit), given)})


@routes.put(PATH + "/{key}")
@operation("os_compute_api:server-metadata:update", takes=OneItem)
def update_item(server_id: str, key: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    given = read(OneItem, body, version).meta
    if len(given) != 1:
        raise InvalidInput(f"Invalid input for field/attribute meta. Value: {given}. Exactly one item is needed")
    if key not in given:
        raise InvalidInput("Request body and URI mismatch")
    with kit.transaction() as tx:
        server = _taken(tx, server_id, "update", caller, kit)
        _write(tx, server, server.attributes | given)
    return Json({"meta": given})


@routes.delete(PATH + "/{key}")
@operation("os_compute_api:server-metadata:delete")
def delete_item(server_id: str, key: str, caller: Caller, kit: KitOf) -> Response:
    with kit.transaction() as tx:
        server = _taken(tx, server_id, "delete", caller, kit)
        if key not in server.attributes:
            raise NotFound("Metadata item was not found")
        left = {name: value for name, value in server.attributes.items() if name != key}
        tx.servers.change(server.id, attributes=left)
    return empty(204)


def _seen(server_id: str, verb: str, caller: Who, kit: Kit) -> dict[str, str]:
    with kit.reading() as tx:
        server = tx.servers.find(server_id, project_id=scope_of(caller), columns=STATE)
    kit.must(f"server-metadata:{verb}", caller, owner(server))
    return dict(server.attributes)


def _taken(tx: Tx, server_id: str, verb: str, caller: Who, kit: Kit) -> Server:
    server = allowed(tx, f"server-metadata:{verb}", server_id, caller, kit)
    must_be_settled(f"{'delete' if verb == 'delete' else 'update'} metadata", server.id, server.vm_state)
    return server


def _write(tx: Tx, server: Server, metadata: Mapping[str, str]) -> Mapping[str, str]:
    tx.quotas.must_be_few(metadata, project_id=server.project_id)
    tx.servers.change(server.id, attributes=dict(metadata))
    return metadata
