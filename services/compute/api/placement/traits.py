"""Qualities that providers have: which there are, and which a provider has."""

from __future__ import annotations

from fastapi import Request, Response

from common.clock import utc_now
from common.errors import InvalidInput, StaleGeneration
from common.http.identity import Caller
from common.http.operations import operation
from services.compute.api.placement.asking import Body, Version, answer, between, must_be_known, nothing, read, router
from services.compute.api.placement.kit import KitOf
from services.compute.api.placement.providers import PATH
from services.compute.api.placement.schemas import Traits
from services.compute.core.placement_names import is_custom

routes = router()
OF_PROVIDER = f"{PATH}/traits"
SINCE = 6
NOT_CUSTOM = (
    'The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix "CUSTOM_" and use '
    'following characters: "A"-"Z", "0"-"9" and "_"'
)


@routes.get("/traits", dependencies=[between(SINCE)])
@operation("placement:traits:list", filters=("name", "associated"))
def list_traits(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    """`name=in:A,B` or `name=startswith:A`; `associated=true`: those that some provider has."""
    kit.must("traits:list", caller)
    must_be_known(request, ("name", "associated"))
    associated = request.query_params.get("associated", "").lower()
    if "associated" in request.query_params and associated not in ("true", "false"):
        raise InvalidInput('The query parameter "associated" only accepts "true" or "false"')
    with kit.reading() as tx:
        found = tx.traits.associated() if associated == "true" else tx.traits.known()
        if associated == "false":
            found -= tx.traits.associated()
    if "name" in request.query_params:
        found = _named(found, request.query_params["name"])
    return answer({"traits": sorted(found)}, version)


@routes.get("/traits/{trait}", dependencies=[between(SINCE)])
@operation("placement:traits:show")
def show_trait(trait: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """204 if there is one of this name."""
    kit.must("traits:show", caller)
    with kit.reading() as tx:
        tx.traits.must_find(trait)
    return nothing(version, modified=utc_now())


@routes.put("/traits/{trait}", dependencies=[between(SINCE)])
@operation("placement:traits:update")
def put_trait(trait: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Make it; 204 if it was there."""
    kit.must("traits:update", caller)
    if not is_custom(trait):
        raise InvalidInput(NOT_CUSTOM)
    now = utc_now()
    with kit.transaction() as tx:
        is_new = tx.traits.add(trait, at=now)
    return nothing(version, status=201 if is_new else 204, location=f"{kit.url}/traits/{trait}", modified=now)


@routes.delete("/traits/{trait}", dependencies=[between(SINCE)])
@operation("placement:traits:delete")
def delete_trait(trait: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Only one that was made here, and that no provider has."""
    kit.must("traits:delete", caller)
    with kit.transaction() as tx:
        tx.traits.remove(trait)
    return nothing(version)


@routes.get(OF_PROVIDER, dependencies=[between(SINCE)])
@operation("placement:resource_providers:traits:list")
def list_traits_of_provider(provider_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_providers:traits:list", caller)
    with kit.reading() as tx:
        row = tx.providers.find(provider_id)
        traits = tx.providers.traits(row.id)
    return answer({"traits": traits, "resource_provider_generation": row.generation}, version)


@routes.put(OF_PROVIDER, dependencies=[between(SINCE)])
@operation("placement:resource_providers:traits:update", takes=Traits)
def replace_traits_of_provider(provider_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """These and no others."""
    kit.must("resource_providers:traits:update", caller)
    asked = read(Traits, body)
    with kit.transaction() as tx:
        row = tx.providers.find(provider_id, lock=True)
        if asked.resource_provider_generation != row.generation:
            raise StaleGeneration(
                "Resource provider's generation already changed. Please update the generation and try again."
            )
        if unknown := sorted(set(asked.traits) - tx.traits.known()):
            raise InvalidInput(f"No such trait {', '.join(unknown)[:2000]}")
        tx.providers.set_traits(row, asked.traits)
        traits = tx.providers.traits(row.id)
    return answer({"traits": traits, "resource_provider_generation": row.generation}, version)


@routes.delete(OF_PROVIDER, dependencies=[between(SINCE)])
@operation("placement:resource_providers:traits:delete")
def delete_traits_of_provider(provider_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_providers:traits:delete", caller)
    with kit.transaction() as tx:
        tx.providers.set_traits(tx.providers.find(provider_id, lock=True), ())
    return nothing(version)


def _named(names: set[str], asked: str) -> set[str]:
    how, colon, value = asked.partition(":")
    if not colon:
        raise InvalidInput(
            "Badly formatted name parameter. Expected name query string parameter in form: "
            f'?name=[in|startswith]:[name1,name2|prefix]. Got: "{asked[:255]}"'
        )
    if how == "in":
        return names & set(value.split(","))
    return {name for name in names if name.startswith(value)} if how == "startswith" else names
