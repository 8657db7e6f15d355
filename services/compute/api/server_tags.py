"""A server's tags, since 2.26."""

from __future__ import annotations

from fastapi import Response
from pydantic import TypeAdapter, ValidationError

from common.auth.callers import Caller as Who
from common.errors import InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import Body, Version, between, router
from services.compute.api.kit import Kit, KitOf, Tx, owner, scope_of
from services.compute.api.schemas.parts import Tag, read
from services.compute.api.schemas.servers import MOST_TAGS, AllTags
from services.compute.core.states import must_be_settled
from services.compute.db.servers import STATE, Server

routes = router()
PATH, SINCE = "/servers/{server_id}/tags", [between(26)]
_TAG: TypeAdapter[str] = TypeAdapter(Tag)


@routes.get(PATH, dependencies=SINCE)
@operation("os_compute_api:os-server-tags:index")
def list_tags(server_id: str, caller: Caller, kit: KitOf) -> Response:
    return Json({"tags": _seen(server_id, "index", caller, kit)})


@routes.get(PATH + "/{tag}", dependencies=SINCE)
@operation("os_compute_api:os-server-tags:show")
def show_tag(server_id: str, tag: str, caller: Caller, kit: KitOf) -> Response:
    if tag not in _seen(server_id, "show", caller, kit):
        raise _missing(server_id, tag)
    return _silence(204)


@routes.put(PATH, dependencies=SINCE)
@operation("os_compute_api:os-server-tags:update_all", takes=AllTags)
def replace_tags(server_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    tags = read(AllTags, body, version).tags
    with kit.transaction() as tx:
        server = _taken(tx, server_id, "update_all", "update tags", caller, kit)
        tx.servers.change(server.id, tags=tags)
    return Json({"tags": tags})


@routes.put(PATH + "/{tag}", dependencies=SINCE)
@operation("os_compute_api:os-server-tags:update")
def add_tag(server_id: str, tag: str, caller: Caller, kit: KitOf) -> Response:
    """201 with its address; 204 if it was there."""
    with kit.transaction() as tx:
        server = _taken(tx, server_id, "update", "update tag", caller, kit)
        _must_be_tag(tag)
        if tag in server.tags:
            return _silence(204)
        if len(server.tags) >= MOST_TAGS:
            raise InvalidInput(f"The number of tags exceeded the per-server limit {MOST_TAGS}")
        tx.servers.change(server.id, tags=sorted([*server.tags, tag]))
    return _silence(201, {"Location": f"{kit.url}/v2.1/servers/{server.id}/tags/{tag}"})


@routes.delete(PATH, dependencies=SINCE)
@operation("os_compute_api:os-server-tags:delete_all")
def delete_tags(server_id: str, caller: Caller, kit: KitOf) -> Response:
    with kit.transaction() as tx:
        server = _taken(tx, server_id, "delete_all", "delete tags", caller, kit)
        tx.servers.change(server.id, tags=[])
    return _silence(204)


@routes.delete(PATH + "/{tag}", dependencies=SINCE)
@operation("os_compute_api:os-server-tags:delete")
def delete_tag(server_id: str, tag: str, caller: Caller, kit: KitOf) -> Response:
    with kit.transaction() as tx:
        server = _taken(tx, server_id, "delete", "delete tag", caller, kit)
        if tag not in server.tags:
            raise _missing(server_id, tag)
        tx.servers.change(server.id, tags=[one for one in server.tags if one != tag])
    return _silence(204)


def _seen(server_id: str, verb: str, caller: Who, kit: Kit) -> list[str]:
    with kit.reading() as tx:
        server = tx.servers.find(server_id, project_id=scope_of(caller), columns=STATE)
    kit.must(f"os-server-tags:{verb}", caller, owner(server))
    return list(server.tags)


def _taken(tx: Tx, server_id: str, verb: str, words: str, caller: Who, kit: Kit) -> Server:
    server = tx.servers.locked(server_id, project_id=scope_of(caller))
    kit.must(f"os-server-tags:{verb}", caller, owner(server))
    must_be_settled(words, server.id, server.vm_state)
    return server


def _must_be_tag(tag: str) -> None:
    try:
        _TAG.validate_python(tag)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise InvalidInput(
            f"Tag '{tag[:64]}' is invalid. It must be a non empty string without characters '/' and ','. "
            f"Validation error message: {reason}"
        ) from error


def _missing(server_id: str, tag: str) -> NotFound:
    return NotFound(f"Server {server_id} has no tag '{tag[:64]}'")


def _silence(status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(b"", status, headers, media_type="text/html; charset=UTF-8")
