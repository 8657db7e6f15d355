"""What resources there can be: the standard classes, and those that operators make."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request, Response

from common.clock import utc_now
from common.errors import Conflict, InvalidInput
from common.http.identity import Caller
from common.http.operations import operation
from services.compute.api.placement.asking import Body, Version, answer, between, body_of, nothing, read, router
from services.compute.api.placement.kit import Kit, KitOf
from services.compute.api.placement.schemas import NamedClass
from services.compute.core.placement_names import is_custom

routes = router()
PATH = "/resource_classes/{resource_class}"
SINCE, MADE_BY_PUT_SINCE = 2, 7


async def old_body_of(request: Request, version: Version) -> Any:
    """Only until 1.6 a PUT has a body."""
    return await body_of(request) if version < MADE_BY_PUT_SINCE else None


@routes.get("/resource_classes", dependencies=[between(SINCE)])
@operation("placement:resource_classes:list")
def list_classes(caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_classes:list", caller)
    with kit.reading() as tx:
        known = tx.classes.known()
    return answer({"resource_classes": [_shown(name, kit) for name in known]}, version)


@routes.post("/resource_classes", dependencies=[between(SINCE)])
@operation("placement:resource_classes:create", takes=NamedClass)
def create_class(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_classes:create", caller)
    name = read(NamedClass, body).name
    with kit.transaction() as tx:
        if not tx.classes.add(name, at=utc_now()):
            raise Conflict(f"Conflicting resource class already exists: {name}")
    return nothing(version, status=201, location=f"{kit.url}/resource_classes/{name}")


@routes.get(PATH, dependencies=[between(SINCE)])
@operation("placement:resource_classes:show")
def show_class(resource_class: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_classes:show", caller)
    with kit.reading() as tx:
        tx.classes.must_find(resource_class)
    return answer(_shown(resource_class, kit), version)


@routes.put(PATH, dependencies=[between(SINCE)])
@operation("placement:resource_classes:update", takes=NamedClass)
def put_class(
    resource_class: str,
    body: Annotated[Any, Depends(old_body_of)],
    caller: Caller,
    kit: KitOf,
    version: Version,
) -> Response:
    """Make it, 204 if it was there; until 1.6 give it the name that the body says."""
    kit.must("resource_classes:update", caller)
    if version < MADE_BY_PUT_SINCE:
        return _renamed(resource_class, read(NamedClass, body).name, kit, version)
    if not is_custom(resource_class):
        raise InvalidInput(f"JSON does not validate: {resource_class[:255]!r} does not match '^CUSTOM_[A-Z0-9_]+$'")
    with kit.transaction() as tx:
        is_new = tx.classes.add(resource_class, at=utc_now())
    location = f"{kit.url}/resource_classes/{resource_class}"
    return nothing(version, status=201 if is_new else 204, location=location)


@routes.delete(PATH, dependencies=[between(SINCE)])
@operation("placement:resource_classes:delete")
def delete_class(resource_class: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Only one that was made here, and of which no provider has any."""
    kit.must("resource_classes:delete", caller)
    with kit.transaction() as tx:
        tx.classes.remove(resource_class)
    return nothing(version)


def _renamed(old: str, new: str, kit: Kit, version: int) -> Response:
    with kit.transaction() as tx:
        tx.classes.rename(old, new, at=utc_now())
    return answer(_shown(new, kit), version)


def _shown(name: str, kit: Kit) -> dict[str, Any]:
    return {"name": name, "links": [{"rel": "self", "href": f"{kit.prefix}/resource_classes/{name}"}]}
