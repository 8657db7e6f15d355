"""Metadata definitions: namespaces of properties that clients offer people to choose from.

Image API reference, v2, "Metadata definitions".  Objects, properties and tags have routes of the same form in `metadata_parts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from sqlalchemy.orm import Session

from common.auth.callers import Caller as Who
from common.errors import Forbidden, InvalidInput
from common.http.identity import Caller, authenticated
from common.http.invalid import parsed
from common.http.json import Json, json_body
from common.http.operations import operation
from services.image.api.kit import Kit, KitOf
from services.image.api.schemas.images import Text, stamped
from services.image.api.schemas.metadata import ObjectBody, PropertyBody, TagBody, shown_part
from services.image.core.listing import LARGEST_PAGE
from services.image.core.metadata_definitions import Association, Kind, Namespace
from services.image.db.metadata_definitions import Definitions

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at

Body = Annotated[Any, Depends(json_body)]
Short = Annotated[Text, Field(min_length=1, max_length=80)]

PREFIX = "/v2/metadefs"
PAGE = 25
SORT_KEYS = {"namespace": "name", "created_at": "created_at", "updated_at": "updated_at"}
FILTERS = ("visibility", "resource_types", "limit", "marker", "sort_key", "sort_dir")


class AssociationBody(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: Short
    prefix: Annotated[Text, Field(max_length=80)] | None = None
    properties_target: Annotated[Text, Field(max_length=80)] | None = None


class NamespaceBody(BaseModel):
    """Fields that answers add are taken, too, and mean nothing."""

    model_config = ConfigDict(extra="ignore")

    namespace: Short
    display_name: Short | None = None
    description: Annotated[Text, Field(max_length=500)] | None = None
    visibility: Literal["public", "private"] = "private"
    protected: StrictBool = False
    owner: Annotated[Text, Field(max_length=255)] | None = None

    def attributes(self) -> dict[str, Any]:
        return self.model_dump(include={"display_name", "description", "visibility", "protected"})


class NewNamespace(NamespaceBody):
    resource_type_associations: list[AssociationBody] = []
    objects: list[ObjectBody] = []
    tags: list[TagBody] = []
    properties: dict[Short, dict[str, Any]] = {}


@router.get(f"{PREFIX}/namespaces")
@operation("get_metadef_namespaces", filters=FILTERS)
def list_namespaces(request: Request, caller: Caller, kit: KitOf) -> Response:
    """Newest first unless told otherwise."""
    kit.policy.must("get_metadef_namespaces", caller)
    query = dict(request.query_params)
    sort, descends = order(query, SORT_KEYS)
    visibility, limit = asked_visibility(query), max(1, whole_number(query.get("limit"), PAGE))
    with kit.database.reading() as session:
        definitions = Definitions(session)
        found = definitions.page(
            kit.viewer(caller),
            visibility=visibility,
            resource_types=[one for one in query.get("resource_types", "").split(",") if one],
            limit=limit,
            marker=query.get("marker"),
            sort=sort,
            descends=descends,
        )
        tied = definitions.associations([key for key, _ in found])
    kept = {name: value for name, value in query.items() if name != "marker"}
    shown = [shown_namespace(one) | _tied(tied[key]) for key, one in found]
    answer = {"namespaces": shown, "first": _link(kept), "schema": "/v2/schemas/metadefs/namespaces"}
    if found and len(found) == limit:
        answer["next"] = _link(kept | {"marker": found[-1][1].name})
    return Json(answer)


@router.post(f"{PREFIX}/namespaces", status_code=201)
@operation("add_metadef_namespace", takes=NewNamespace)
def create_namespace(body: Body, caller: Caller, kit: KitOf) -> Response:
    """With all that belongs to it, or with nothing yet."""
    kit.policy.must("add_metadef_namespace", caller)
    asked = parsed(NewNamespace, body)
    with kit.database.transaction() as session:
        key, _ = Definitions(session).add(asked.namespace, asked.attributes(), asked.owner or caller.project_id)
        _fill(Definitions(session), key, asked)
        answer = _whole(session, kit, asked.namespace, caller)
    return Json(answer, 201, {"location": f"{kit.public_url}{answer['self']}"})


@router.get(f"{PREFIX}/namespaces/{{namespace}}")
@operation("get_metadef_namespace")
def show_namespace(namespace: str, request: Request, caller: Caller, kit: KitOf) -> Response:
    """With all that belongs to it; `resource_type` puts that type's prefix before its properties' names."""
    with kit.database.reading() as session:
        _, found = Definitions(session).seen(namespace, kit.viewer(caller))
        kit.policy.must("get_metadef_namespace", caller, found.target())
        answer = _whole(session, kit, namespace, caller)
    if (resource_type := request.query_params.get("resource_type")) is not None:
        ties = {one["name"]: one for one in answer["resource_type_associations"]}
        prefix = ties.get(resource_type, {}).get("prefix") or ""
        answer["properties"] = {prefix + name: one for name, one in answer["properties"].items()}
    return Json(answer)


@router.put(f"{PREFIX}/namespaces/{{namespace}}")
@operation("modify_metadef_namespace", takes=NamespaceBody)
def change_namespace(namespace: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    asked = parsed(NamespaceBody, body)
    with kit.database.transaction() as session:
        key = changeable(session, kit, caller, namespace, "modify_metadef_namespace")
        owner = {"owner": asked.owner} if asked.owner is not None else {}
        Definitions(session).change(key, asked.attributes() | {"name": asked.namespace} | owner)
        _, changed = Definitions(session).seen(asked.namespace, kit.viewer(caller))
    return Json(shown_namespace(changed))


@router.delete(f"{PREFIX}/namespaces/{{namespace}}", status_code=204)
@operation("delete_metadef_namespace")
def delete_namespace(namespace: str, caller: Caller, kit: KitOf) -> Response:
    """With all that belongs to it."""
    with kit.database.transaction() as session:
        key, found = Definitions(session).seen(namespace, kit.viewer(caller))
        kit.policy.must("delete_metadef_namespace", caller, found.target())
        if found.protected:
            raise Forbidden(f"Metadata definition namespace {found.name} is protected and cannot be deleted.")
        Definitions(session).remove(key)
    return Response(status_code=204)


@router.get(f"{PREFIX}/resource_types")
@operation("list_metadef_resource_types")
def list_resource_types(caller: Caller, kit: KitOf) -> Response:
    kit.policy.must("list_metadef_resource_types", caller)
    with kit.database.reading() as session:
        found = Definitions(session).resource_types()
    times = ({"created_at": stamped(made), "updated_at": stamped(changed)} for _, made, changed in found)
    return Json({"resource_types": [{"name": row[0]} | stamps for row, stamps in zip(found, times, strict=True)]})


@router.get(f"{PREFIX}/namespaces/{{namespace}}/resource_types")
@operation("get_metadef_resource_type")
def list_associations(namespace: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.reading() as session:
        key = readable(session, kit, caller, namespace, "get_metadef_resource_type")
        return Json(_tied(Definitions(session).associations([key])[key]))


@router.post(f"{PREFIX}/namespaces/{{namespace}}/resource_types", status_code=201)
@operation("add_metadef_resource_type_association", takes=AssociationBody)
def associate(namespace: str, body: Body, caller: Caller, kit: KitOf) -> Response:
    asked = parsed(AssociationBody, body)
    with kit.database.transaction() as session:
        key = changeable(session, kit, caller, namespace, "add_metadef_resource_type_association")
        made = Definitions(session).associate(key, asked.name, asked.prefix, asked.properties_target)
    return Json(shown_association(made), 201)


@router.delete(f"{PREFIX}/namespaces/{{namespace}}/resource_types/{{resource_type}}", status_code=204)
@operation("remove_metadef_resource_type_association")
def part_ways(namespace: str, resource_type: str, caller: Caller, kit: KitOf) -> Response:
    with kit.database.transaction() as session:
        key = changeable(session, kit, caller, namespace, "remove_metadef_resource_type_association", protects=True)
        Definitions(session).part_ways(key, resource_type)
    return Response(status_code=204)


def readable(session: Session, kit: Kit, caller: Who, namespace: str, rule: str) -> UUID:
    """The namespace's key.  NotFound, Forbidden"""
    key, found = Definitions(session).seen(namespace, kit.viewer(caller))
    kit.policy.must(rule, caller, found.target())
    return key


def changeable(session: Session, kit: Kit, caller: Who, namespace: str, rule: str, *, protects: bool = False) -> UUID:
    """The same; with `protects`, Forbidden also while the namespace is protected."""
    key, found = Definitions(session).seen(namespace, kit.viewer(caller))
    kit.policy.must(rule, caller, found.target())
    if protects and found.protected:
        raise Forbidden(f"Metadata definition namespace {found.name} is protected: nothing is removed from it.")
    return key


def _fill(definitions: Definitions, key: UUID, asked: NewNamespace) -> None:
    for tie in asked.resource_type_associations:
        definitions.associate(key, tie.name, tie.prefix, tie.properties_target)
    for one in asked.objects:
        definitions.add_part(key, Kind.OBJECT, one.name, one.body())
    for name, described in asked.properties.items():
        its = parsed(PropertyBody, {"name": name} | described)
        definitions.add_part(key, Kind.PROPERTY, its.name, its.body())
    for tag in asked.tags:
        definitions.add_part(key, Kind.TAG, tag.name, {})


def _whole(session: Session, kit: Kit, namespace: str, caller: Who) -> dict[str, Any]:
    definitions = Definitions(session)
    key, found = definitions.seen(namespace, kit.viewer(caller))
    parts = {kind: definitions.parts(key, kind) for kind in Kind}
    return {
        **shown_namespace(found),
        **_tied(definitions.associations([key])[key]),
        "properties": {one.name: dict(one.body) for one in parts[Kind.PROPERTY]},
        "objects": [shown_part(namespace, one) for one in parts[Kind.OBJECT]],
        "tags": [{"name": one.name} for one in parts[Kind.TAG]],
    }


def shown_namespace(one: Namespace) -> dict[str, Any]:
    answer = {
        "namespace": one.name,
        "visibility": one.visibility,
        "protected": one.protected,
        "owner": one.owner,
        "created_at": stamped(one.created_at),
        "updated_at": stamped(one.updated_at),
        "self": f"{PREFIX}/namespaces/{one.name}",
        "schema": "/v2/schemas/metadefs/namespace",
    }
    named = {"display_name": one.display_name, "description": one.description}
    return answer | {name: value for name, value in named.items() if value is not None}


def shown_association(one: Association) -> dict[str, Any]:
    answer = {
        "name": one.resource_type,
        "created_at": stamped(one.created_at),
        "updated_at": stamped(one.updated_at),
    }
    named = {"prefix": one.prefix, "properties_target": one.properties_target}
    return answer | {name: value for name, value in named.items() if value is not None}


def _tied(associations: Sequence[Association]) -> dict[str, Any]:
    return {"resource_type_associations": [shown_association(one) for one in associations]}


def order(
    query: Mapping[str, str], keys: Mapping[str, str], usual: tuple[str, str] = ("created_at", "desc")
) -> tuple[str, bool]:
    """What a list is sorted by, and whether that descends.  InvalidInput"""
    sort, direction = query.get("sort_key", usual[0]), query.get("sort_dir", usual[1])
    if direction not in ("asc", "desc"):
        raise InvalidInput(f"Invalid sort direction: {direction[:80]}")
    if sort not in keys:
        raise InvalidInput(f"Sort key supplied is invalid: {sort[:80]}")
    return keys[sort], direction == "desc"


def asked_visibility(query: Mapping[str, str]) -> str | None:
    """InvalidInput"""
    visibility = query.get("visibility")
    if visibility not in (None, "public", "private"):
        raise InvalidInput(f"Invalid visibility value: {visibility[:80] if visibility else ''}")
    return visibility


def whole_number(limit: str | None, usual: int) -> int:
    """How many a page may hold.  InvalidInput"""
    if limit is None:
        return usual
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 10):
        raise InvalidInput("limit param must be an integer")
    return min(int(limit), LARGEST_PAGE)


def _link(query: dict[str, str]) -> str:
    return f"{PREFIX}/namespaces?{urlencode(query)}" if query else f"{PREFIX}/namespaces"
