"""Images as this API showed them until 2.35, and their metadata until 2.38.  The image service decides who may do what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import QueryParams

from common.auth.callers import Caller as Who
from common.errors import InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api import links
from services.compute.api.asking import Body, Version, between, empty, router
from services.compute.api.kit import Kit, KitOf
from services.compute.api.queries import limit_of, time_of
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.servers import AllMetadata, OneItem
from services.compute.api.server_views import seconds
from services.compute.core.snapshots import must_be_properties
from services.compute.db.servers import as_uuid

routes = router()
UNTIL, METADATA_UNTIL = [between(1, 35)], [between(1, 38)]
PATH = "/images/{image_id}/metadata"
# fmt: off
STATUSES = {"active": "ACTIVE", "queued": "SAVING", "saving": "SAVING", "deleted": "DELETED", "pending_delete": "DELETED",
            "killed": "ERROR"}
PROGRESS = {"queued": 25, "saving": 50, "active": 100}
FILTERS = {  # parameter here -> there
    "name": "name", "status": "status", "server": "instance_uuid", "type": "image_type", "minRam": "min_ram",
    "minDisk": "min_disk",
}
# fmt: on
PROPERTY = "property-"


@routes.get("/images", dependencies=UNTIL)
@operation()
def list_images(request: Request, caller: Caller, kit: KitOf) -> Response:
    images, more = _page(request, caller, kit)
    return Json(links.paged("images", [_named(one, kit) for one in images], more))


@routes.get("/images/detail", dependencies=UNTIL)
@operation()
def list_images_whole(request: Request, caller: Caller, kit: KitOf) -> Response:
    images, more = _page(request, caller, kit)
    return Json(links.paged("images", [_shown(one, kit) for one in images], more))


@routes.get("/images/{image_id}", dependencies=UNTIL)
@operation()
def show_image(image_id: str, caller: Caller, kit: KitOf) -> Response:
    return Json({"image": _shown(_found(image_id, caller, kit), kit)})


@routes.delete("/images/{image_id}", dependencies=UNTIL)
@operation()
def delete_image(image_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.images.remove(_found(image_id, caller, kit).id, token=caller.token)
    return empty(204)


@routes.get(PATH, dependencies=METADATA_UNTIL)
@operation()
def list_metadata(image_id: str, caller: Caller, kit: KitOf) -> Response:
    return Json({"metadata": _found(image_id, caller, kit).properties})


@routes.get(PATH + "/{key}", dependencies=METADATA_UNTIL)
@operation()
def show_item(image_id: str, key: str, caller: Caller, kit: KitOf) -> Response:
    found = _found(image_id, caller, kit).properties
    if key not in found:
        raise NotFound("Metadata item was not found")
    return Json({"meta": {key: found[key]}})


@routes.post(PATH, dependencies=METADATA_UNTIL)
@operation(takes=AllMetadata)
def add_metadata(image_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """New items join the others."""
    given = read(AllMetadata, body, version).metadata
    return Json({"metadata": _write(_found(image_id, caller, kit), given, caller, kit)})


@routes.put(PATH, dependencies=METADATA_UNTIL)
@operation(takes=AllMetadata)
def replace_metadata(image_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """What is not given is gone."""
    given = read(AllMetadata, body, version).metadata
    image = _found(image_id, caller, kit)
    _write(image, given, caller, kit, gone=[key for key in image.properties if key not in given])
    return Json({"metadata": given})


@routes.put(PATH + "/{key}", dependencies=METADATA_UNTIL)
@operation(takes=OneItem)
def update_item(image_id: str, key: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    given = read(OneItem, body, version).meta
    if list(given) != [key]:
        raise InvalidInput("Request body and URI mismatch")
    _write(_found(image_id, caller, kit), given, caller, kit)
    return Json({"meta": given})


@routes.delete(PATH + "/{key}", dependencies=METADATA_UNTIL)
@operation()
def delete_item(image_id: str, key: str, caller: Caller, kit: KitOf) -> Response:
    image = _found(image_id, caller, kit)
    if key not in image.properties:
        raise NotFound("Invalid metadata key")
    _write(image, {}, caller, kit, gone=[key])
    return empty(204)


# ---------------------------------------------------------------- the image service's


def _found(image_id: str, caller: Who, kit: Kit) -> Any:
    """NotFound, also for what is no id."""
    if (known := as_uuid(image_id)) is None:
        raise NotFound("Image not found.")
    try:
        return kit.images.show(known, token=caller.token)
    except NotFound as error:
        raise NotFound("Image not found.") from error


def _page(request: Request, caller: Who, kit: Kit) -> tuple[list[Any], list[dict[str, str]] | None]:
    query, limit = request.query_params, limit_of(request.query_params, kit.settings.list_limit)
    images = list(kit.images.find(token=caller.token, **_filters(query), limit=str(limit)))
    if not images or len(images) < limit:
        return images, None
    return images, links.next_page(kit.url, request.url.path.removeprefix("/v2.1"), query, images[-1].id)


def _filters(query: QueryParams) -> dict[str, str]:
    """InvalidInput for a time that is none."""
    found = {there: query[here] for here, there in FILTERS.items() if here in query}
    found |= {name.removeprefix(PROPERTY): value for name, value in query.items() if name.startswith(PROPERTY)}
    if "status" in found:
        found["status"] = found["status"].lower()
    if "instance_uuid" in found:
        found["instance_uuid"] = found["instance_uuid"].rsplit("/", 1)[-1]  # an address of the server, or its id
    if (since := time_of(query, "changes-since")) is not None:
        found["updated_at"] = f"gte:{since.isoformat()}"
    if "marker" in query:
        found["marker"] = query["marker"]
    for reserved in ("token", "limit"):
        found.pop(reserved, None)
    return found


def _write(image: Any, given: Mapping[str, str], caller: Who, kit: Kit, *, gone: list[str] | None = None) -> Any:
    """The image's properties afterwards.  OverQuota, InvalidInput, Forbidden"""
    must_be_properties(given)
    left = {key: value for key, value in image.properties.items() if key not in (gone or [])}
    with kit.reading() as tx:
        tx.quotas.must_be_few({**left, **given}, project_id=str(caller.project_id))
    steps: list[dict[str, Any]] = [{"op": "remove", "path": f"/{_pointed(key)}"} for key in gone or []]
    steps += [{"op": "add", "path": f"/{_pointed(key)}", "value": value} for key, value in given.items()]
    return kit.images.change(image.id, steps, token=caller.token).properties if steps else image.properties


def _pointed(key: str) -> str:
    """As JSON pointers (RFC 6901) spell it."""
    return key.replace("~", "~0").replace("/", "~1")


# ---------------------------------------------------------------- as it was shown


def _named(image: Any, kit: Kit) -> dict[str, Any]:
    alternate = {
        "rel": "alternate",
        "type": "application/vnd.openstack.image",
        "href": f"{kit.image_url}/images/{image.id}",
    }
    return {"id": str(image.id), "name": image.name, "links": [*links.of(kit.url, "images", image.id), alternate]}


def _shown(image: Any, kit: Kit) -> dict[str, Any]:
    shown = _named(image, kit) | {
        "minRam": image.min_ram,
        "minDisk": image.min_disk,
        "metadata": image.properties,
        "created": seconds(image.created_at),
        "updated": seconds(image.updated_at),
        "status": STATUSES.get(image.status, "UNKNOWN"),
        "progress": PROGRESS.get(image.status, 0),
        "OS-EXT-IMG-SIZE:size": image.size,
    }
    if (server_id := image.properties.get("instance_uuid")) is not None:
        shown["server"] = {"id": server_id, "links": links.of(kit.url, "servers", server_id)}
    if (config := image.properties.get("auto_disk_config")) is not None:
        shown["OS-DCF:diskConfig"] = "AUTO" if config.lower() == "true" else "MANUAL"
    return shown
