"""Resource providers, alone or in trees."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from fastapi import Request, Response

from common.clock import utc_now
from common.errors import InvalidInput, NotFound
from common.http.identity import Caller
from common.http.operations import operation
from services.compute.api.placement.asking import Body, Version, answer, must_be_known, nothing, read, router
from services.compute.api.placement.kit import Kit, KitOf, Tx
from services.compute.api.placement.schemas import ChangedProvider, NewNestedProvider, NewProvider, RenamedProvider
from services.compute.core.placement_requests import aggregates_of, resources_of, traits_of, uuid_of
from services.compute.db.placement_providers import Wanted
from services.compute.db.placement_tables import ProviderRow

routes = router()
PATH = "/resource_providers/{provider_id}"
NESTED_SINCE, SHOWN_SINCE, MOVED_SINCE = 14, 20, 37
# fmt: off
FILTERS = {"name": 0, "uuid": 0, "member_of": 3, "resources": 4, "in_tree": 14, "required": 18}  # since which version
LINKS = {"inventories": 0, "usages": 0, "aggregates": 1, "traits": 6, "allocations": 11}
# fmt: on


@routes.get("/resource_providers")
@operation("placement:resource_providers:list", filters=FILTERS)
def list_providers(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    """All that pass every filter; there are no pages."""
    kit.must("resource_providers:list", caller)
    must_be_known(request, [name for name, since in FILTERS.items() if since <= version])
    wanted = _wanted(request, version)
    with kit.reading() as tx:
        _must_know(tx, wanted)
        rows = tx.providers.listed(wanted)
    newest = max((row.updated_at or row.created_at for row in rows), default=None)
    return answer({"resource_providers": [shown(row, kit, version) for row in rows]}, version, modified=newest)


@routes.post("/resource_providers")
@operation("placement:resource_providers:create", takes=NewNestedProvider)
def create_provider(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_providers:create", caller)
    asked = read(NewNestedProvider if version >= NESTED_SINCE else NewProvider, body)
    parent = getattr(asked, "parent_provider_uuid", None)
    own_id = UUID(asked.uuid) if asked.uuid else uuid4()
    with kit.transaction() as tx:
        row = tx.providers.add(own_id, asked.name, UUID(parent) if parent else None, at=utc_now())
    location = f"{kit.url}/resource_providers/{row.id}"
    if version < SHOWN_SINCE:
        return nothing(version, status=201, location=location)
    made = answer(shown(row, kit, version), version, modified=row.created_at)
    made.headers["location"] = location
    return made


@routes.get(PATH)
@operation("placement:resource_providers:show")
def show_provider(provider_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_providers:show", caller)
    with kit.reading() as tx:
        row = tx.providers.find(provider_id)
    return answer(shown(row, kit, version), version, modified=row.updated_at or row.created_at)


@routes.put(PATH)
@operation("placement:resource_providers:update", takes=ChangedProvider)
def update_provider(provider_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """A new name, and since 1.14 a parent; only since 1.37 another parent, or none any more."""
    kit.must("resource_providers:update", caller)
    with kit.transaction() as tx:
        row = tx.providers.find(provider_id, lock=True)
        asked = read(ChangedProvider if version >= NESTED_SINCE else RenamedProvider, body)
        if isinstance(asked, ChangedProvider) and "parent_provider_uuid" in asked.model_fields_set:
            parent = UUID(asked.parent_provider_uuid) if asked.parent_provider_uuid else None
            tx.providers.put_under(row, parent, freely=version >= MOVED_SINCE)
        tx.providers.change(row, name=asked.name, at=utc_now())
    return answer(shown(row, kit, version), version, modified=row.updated_at)


@routes.delete(PATH)
@operation("placement:resource_providers:delete")
def delete_provider(provider_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Only one that is nobody's parent, of which nobody holds anything, and that is no host."""
    kit.must("resource_providers:delete", caller)
    with kit.transaction() as tx:
        try:
            row = tx.providers.find(provider_id, lock=True)
        except NotFound as error:
            raise NotFound(f"No resource provider with uuid {provider_id[:64]} found for delete") from error
        tx.providers.remove(row)
    return nothing(version)


def shown(row: ProviderRow, kit: Kit, version: int) -> dict[str, Any]:
    url = f"{kit.prefix}/resource_providers/{row.id}"
    links = [{"rel": "self", "href": url}]
    links += [{"rel": name, "href": f"{url}/{name}"} for name, since in LINKS.items() if since <= version]
    provider = {"uuid": str(row.id), "name": row.name, "generation": row.generation, "links": links}
    if version >= NESTED_SINCE:
        provider["parent_provider_uuid"] = str(row.parent_id) if row.parent_id else None
        provider["root_provider_uuid"] = str(row.root_id)
    return provider


def _wanted(request: Request, version: int) -> Wanted:
    query = request.query_params
    groups, others = aggregates_of(query.getlist("member_of"), version)
    required, forbidden = traits_of(query.getlist("required"), version)
    return Wanted(
        name=query.get("name"),
        id=uuid_of(query["uuid"], "uuid") if "uuid" in query else None,
        in_tree=uuid_of(query["in_tree"], "in_tree") if "in_tree" in query else None,
        required=required,
        forbidden=forbidden,
        member_of=groups,
        not_member_of=others,
        resources=resources_of(query["resources"]) if "resources" in query else {},
    )


def _must_know(tx: Tx, wanted: Wanted) -> None:
    if (name := tx.classes.unknown(wanted.resources)) is not None:
        raise InvalidInput(f"Invalid resource class in resources parameter: No such resource class {name[:255]}.")
    traits = wanted.forbidden.union(*wanted.required)
    if traits:
        try:
            tx.traits.must_know(traits)
        except InvalidInput as error:
            raise InvalidInput(f'Invalid trait(s) in "required" parameter: {error.message}') from error
