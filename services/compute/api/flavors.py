"""Flavors: the sizes that servers come in."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from starlette.datastructures import QueryParams

from common.auth.callers import Caller as Who
from common.clock import utc_now
from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api import links
from services.compute.api.asking import Body, Version, between, empty, router
from services.compute.api.kit import Kit, KitOf, scope_of
from services.compute.api.queries import limit_of, truth_of
from services.compute.api.schemas.flavors import CreateFlavor, NewFlavor, UpdateFlavor
from services.compute.api.schemas.parts import read
from services.compute.api.versions import FLAVOR, FLAVOR_NAMED
from services.compute.db.flavors import SORTED, Flavor, Wanted

routes = router()


@routes.get("/flavors")
@operation()
def list_flavors(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    rows, more = _page(request, kit, caller, version)
    named = [FLAVOR_NAMED.at(version, _named(row, kit.url)) for row in rows]
    return Json(links.paged("flavors", named, more))


@routes.get("/flavors/detail")
@operation(also=["os_compute_api:os-flavor-extra-specs:index"])
def list_flavors_whole(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    rows, more = _page(request, kit, caller, version)
    return Json(links.paged("flavors", [shown(row, kit, caller, version) for row in rows], more))


@routes.get("/flavors/{flavor_id}")
@operation(also=["os_compute_api:os-flavor-extra-specs:index"])
def show_flavor(flavor_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    with kit.reading() as tx:
        row = tx.flavors.find(flavor_id, project_id=scope_of(caller))
    return Json({"flavor": shown(row, kit, caller, version)})


@routes.post("/flavors")
@operation("os_compute_api:os-flavor-manage:create", "os_compute_api:os-flavor-extra-specs:index", takes=CreateFlavor)
def create_flavor(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """200, not 201.  Without an id it is given one."""
    kit.must("os-flavor-manage:create", caller)
    asked = read(CreateFlavor, body, version).flavor
    flavor_id = asked.id if asked.id not in (None, "auto") else str(uuid4())
    with kit.transaction() as tx:
        tx.flavors.add(_values(asked, str(flavor_id)))
        row = tx.flavors.find(str(flavor_id), project_id=None)
    return Json({"flavor": shown(row, kit, caller, version)})


@routes.put("/flavors/{flavor_id}", dependencies=[between(55)])
@operation("os_compute_api:os-flavor-manage:update", "os_compute_api:os-flavor-extra-specs:index", takes=UpdateFlavor)
def update_flavor(flavor_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Only its description can change."""
    kit.must("os-flavor-manage:update", caller)
    asked = read(UpdateFlavor, body, version).flavor
    with kit.transaction() as tx:
        tx.flavors.find(flavor_id, project_id=None)
        tx.flavors.change(flavor_id, description=asked.description)
        row = tx.flavors.find(flavor_id, project_id=None)
    return Json({"flavor": shown(row, kit, caller, version)})


@routes.delete("/flavors/{flavor_id}")
@operation("os_compute_api:os-flavor-manage:delete")
def delete_flavor(flavor_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-flavor-manage:delete", caller)
    with kit.transaction() as tx:
        tx.flavors.remove(flavor_id)
    return empty()


def shown(row: Flavor, kit: Kit, caller: Who, version: int) -> dict[str, Any]:
    """A flavor as this version shows it."""
    flavor = _named(row, kit.url) | {
        "ram": row.memory_mib,
        "disk": row.root_gib,
        "swap": row.swap_mib,
        "vcpus": row.vcpus,
        "OS-FLV-EXT-DATA:ephemeral": row.ephemeral_gib,
        "OS-FLV-DISABLED:disabled": row.is_disabled,
        "os-flavor-access:is_public": row.is_public,
        "rxtx_factor": row.rxtx_factor,
    }
    if kit.allows("os-flavor-extra-specs:index", caller):
        flavor["extra_specs"] = row.extra_specs
    return FLAVOR.at(version, flavor)


def _named(row: Flavor, url: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "links": links.of(url, "flavors", row.id),
    }


def _values(asked: NewFlavor, flavor_id: str) -> dict[str, Any]:
    return {
        "id": flavor_id,
        "name": asked.name,
        "description": asked.description,
        "memory_mib": asked.ram,
        "vcpus": asked.vcpus,
        "root_gib": asked.disk,
        "ephemeral_gib": asked.ephemeral,
        "swap_mib": asked.swap,
        "rxtx_factor": asked.rxtx_factor,
        "is_public": asked.is_public,
        "is_disabled": False,
        "extra_specs": {},
        "created_at": utc_now(),
    }


def _page(request: Request, kit: Kit, caller: Who, version: int) -> tuple[list[Flavor], list[dict[str, str]] | None]:
    query = request.query_params
    limit = limit_of(query, kit.settings.list_limit)
    sort_key, sort_dir = query.get("sort_key", "flavorid"), query.get("sort_dir", "asc")
    if sort_key not in SORTED or (version >= 102 and sort_key == "rxtx_factor"):
        raise InvalidInput(
            f"Invalid input for query parameters sort_key. Value: {sort_key[:64]}. "
            f"'{sort_key[:64]}' is not one of {sorted(SORTED)}"
        )
    if sort_dir not in ("asc", "desc"):
        raise InvalidInput(
            f"Invalid input for query parameters sort_dir. Value: {sort_dir[:64]}. "
            f"'{sort_dir[:64]}' is not one of ['asc', 'desc']"
        )
    with kit.reading() as tx:
        rows = tx.flavors.page(
            _wanted(query, caller, version),
            sort_key=sort_key,
            descends=sort_dir == "desc",
            marker=query.get("marker"),
            limit=limit,
        )
    full = rows and len(rows) == limit
    path = request.url.path.removeprefix("/v2.1")
    return list(rows), links.next_page(kit.url, path, query, rows[-1].id) if full else None


def _wanted(query: QueryParams, caller: Who, version: int) -> Wanted:
    """Admins ask for public ones, others, or (`is_public=None`) all; everybody else gets what their project may use."""
    is_public: bool | None = None
    project_id: str | None = caller.project_id or ""
    if caller.is_admin:
        given = query.get("is_public", "true")
        is_public = None if given.lower() == "none" else truth_of(given, "is_public")
        project_id = None
    return Wanted(
        project_id=project_id,
        is_public=is_public,
        min_memory_mib=_whole(query, "minRam"),
        min_root_gib=_whole(query, "minDisk"),
        name=query.get("name") if version >= 102 else None,
    )


def _whole(query: QueryParams, name: str) -> int | None:
    if (given := query.get(name)) is None:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 9:
        raise InvalidInput(f"Invalid {name} filter [{given[:64]}]")
    return int(given)
