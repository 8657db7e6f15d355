"""Objects, properties and tags of a namespace: the same five routes for each, and lists of tags at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from common.errors import Conflict
from common.http.identity import Caller, authenticated
from common.http.invalid import parsed
from common.http.json import Json, json_body
from common.http.operations import operation
from services.image.api.kit import KitOf
from services.image.api.metadata_definitions import PREFIX, asked_visibility, changeable, order, readable, whole_number
from services.image.api.schemas.metadata import BODIES, ManyTags, ObjectBody, PropertyBody, TagBody, shown_part
from services.image.core.metadata_definitions import PLURAL, Kind, Part, PartPage
from services.image.db.metadata_definitions import Definitions

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at

Body = Annotated[Any, Depends(json_body)]
RAW_BODIES: dict[Kind, type[BaseModel]] = {Kind.OBJECT: ObjectBody, Kind.PROPERTY: PropertyBody, Kind.TAG: TagBody}
REMOVES = {
    Kind.OBJECT: "delete_metadef_object",
    Kind.PROPERTY: "remove_metadef_property",
    Kind.TAG: "delete_metadef_tag",
}
NAMESPACE = PREFIX + "/namespaces/{namespace}"
TAGS = f"{NAMESPACE}/tags"
FILTERS = ("limit", "marker", "sort_key", "sort_dir", "visibility")
SORT_KEYS = {"name": "name", "created_at": "created_at", "updated_at": "updated_at"}
USUAL_ORDER = {Kind.TAG: ("created_at", "desc"), Kind.OBJECT: ("name", "asc")}


def _routes_of(kind: Kind) -> None:
    """List, show, change and delete; what is made is made differently for tags."""
    plural = PLURAL[kind]
    whole, one = f"{NAMESPACE}/{plural}", f"{NAMESPACE}/{plural}/{{name}}"
    takes = RAW_BODIES[kind]

    @router.get(whole, name=f"list_{plural}")
    @operation(f"get_metadef_{plural}", filters=() if kind is Kind.PROPERTY else FILTERS)
    def list_parts(namespace: str, request: Request, caller: Caller, kit: KitOf) -> Response:
        with kit.database.reading() as session:
            key = readable(session, kit, caller, namespace, f"get_metadef_{plural}")
            page = PartPage() if kind is Kind.PROPERTY else _page(request.query_params, kind)
            found = Definitions(session).parts(key, kind, page)
        schema = f"/v2/schemas/metadefs/{plural}"
        if kind is Kind.PROPERTY:
            return Json({plural: {part.name: _property(part) for part in found}, "schema": schema})
        return Json({plural: [shown_part(namespace, part) for part in found], "schema": schema})

    @router.get(one, name=f"show_{kind}")
    @operation(f"get_metadef_{kind}")
    def show_part(namespace: str, name: str, request: Request, caller: Caller, kit: KitOf) -> Response:
        with kit.database.reading() as session:
            key = readable(session, kit, caller, namespace, f"get_metadef_{kind}")
            definitions = Definitions(session)
            if kind is Kind.PROPERTY and (resource_type := request.query_params.get("resource_type")):
                ties = definitions.associations([key])[key]
                prefix = next((tie.prefix for tie in ties if tie.resource_type == resource_type), None) or ""
                name = name.removeprefix(prefix)
            part = definitions.part(key, kind, name)
        return Json(shown_part(namespace, part))

    @router.put(one, name=f"change_{kind}")
    @operation(f"modify_metadef_{kind}", takes=takes)
    def change_part(namespace: str, name: str, body: Body, caller: Caller, kit: KitOf) -> Response:
        asked = parsed(BODIES[kind], body)
        with kit.database.transaction() as session:
            key = changeable(session, kit, caller, namespace, f"modify_metadef_{kind}")
            part = Definitions(session).change_part(key, kind, name, asked.name, asked.body())
        return Json(shown_part(namespace, part))

    @router.delete(one, name=f"delete_{kind}", status_code=204)
    @operation(REMOVES[kind])
    def delete_part(namespace: str, name: str, caller: Caller, kit: KitOf) -> Response:
        with kit.database.transaction() as session:
            key = changeable(session, kit, caller, namespace, REMOVES[kind], protects=True)
            Definitions(session).remove_part(key, kind, name)
        return Response(status_code=204)

    @router.delete(whole, name=f"delete_all_{plural}", status_code=204)
    @operation("delete_metadef_tags" if kind is Kind.TAG else REMOVES[kind])
    def delete_parts(namespace: str, caller: Caller, kit: KitOf) -> Response:
        rule = "delete_metadef_tags" if kind is Kind.TAG else REMOVES[kind]
        with kit.database.transaction() as session:
            Definitions(session).remove_parts(changeable(session, kit, caller, namespace, rule, protects=True), kind)
        return Response(status_code=204)

    if kind is not Kind.TAG:

        @router.post(whole, name=f"create_{kind}", status_code=201)
        @operation(f"add_metadef_{kind}", takes=takes)
        def create_part(namespace: str, body: Body, caller: Caller, kit: KitOf) -> Response:
            asked = parsed(BODIES[kind], body)
            with kit.database.transaction() as session:
                key = changeable(session, kit, caller, namespace, f"add_metadef_{kind}")
                part = Definitions(session).add_part(key, kind, asked.name, asked.body())
            return Json(shown_part(namespace, part), 201)


for _kind in Kind:
    _routes_of(_kind)


@router.post(f"{TAGS}/{{name}}", status_code=201)
@operation("add_metadef_tag")
def create_tag(namespace: str, name: str, caller: Caller, kit: KitOf) -> Response:
    asked = parsed(TagBody, {"name": name})
    with kit.database.transaction() as session:
        key = changeable(session, kit, caller, namespace, "add_metadef_tag")
        tag = Definitions(session).add_part(key, Kind.TAG, asked.name, {})
    return Json(shown_part(namespace, tag), 201)


@router.post(TAGS, status_code=201)
@operation("add_metadef_tags", takes=ManyTags)
def replace_tags(namespace: str, request: Request, body: Body, caller: Caller, kit: KitOf) -> Response:
    """These tags instead of those there were; with the header `X-Openstack-Append: True`, beside them."""
    asked = parsed(ManyTags, body)
    names = [one.name for one in asked.tags]
    if len(set(names)) != len(names):
        raise Conflict("A tag is named twice.")
    with kit.database.transaction() as session:
        key = changeable(session, kit, caller, namespace, "add_metadef_tags")
        definitions = Definitions(session)
        if request.headers.get("x-openstack-append", "").lower() != "true":
            definitions.remove_parts(key, Kind.TAG)
        made = [definitions.add_part(key, Kind.TAG, name, {}) for name in names]
    return Json({"tags": [{"name": one.name} for one in made], "schema": "/v2/schemas/metadefs/tags"}, 201)


def _page(query: Mapping[str, str], kind: Kind) -> PartPage:
    """All of them unless told otherwise: no answer names the next page.  InvalidInput"""
    asked_visibility(query)
    sort, descends = order(query, SORT_KEYS, USUAL_ORDER[kind])
    limit = whole_number(query["limit"], 0) if query.get("limit") else None
    return PartPage(sort=sort, descends=descends, limit=limit, marker=query.get("marker") or None)


def _property(part: Part) -> dict[str, Any]:
    return {"name": part.name, **part.body}
