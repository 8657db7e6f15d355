"""A flavor's extra specs: what it asks of a host besides amounts."""

from __future__ import annotations

from fastapi import Response

from common.errors import InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import Body, Version, empty, router
from services.compute.api.kit import KitOf, scope_of
from services.compute.api.schemas.flavors import ExtraSpecs, OneExtraSpec
from services.compute.api.schemas.parts import read
from services.compute.core.extra_specs import must_be_valid

routes = router()
PATH = "/flavors/{flavor_id}/os-extra_specs"
CHECKED_SINCE = 86


@routes.get(PATH)
@operation("os_compute_api:os-flavor-extra-specs:index")
def list_extra_specs(flavor_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-flavor-extra-specs:index", caller)
    with kit.reading() as tx:
        return Json({"extra_specs": tx.flavors.find(flavor_id, project_id=scope_of(caller)).extra_specs})


@routes.post(PATH)
@operation("os_compute_api:os-flavor-extra-specs:create", takes=ExtraSpecs)
def add_extra_specs(flavor_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """New ones join the others, or replace those of their names."""
    kit.must("os-flavor-extra-specs:create", caller)
    given = read(ExtraSpecs, body, version).extra_specs
    _check(given, version)
    with kit.transaction() as tx:
        tx.flavors.change(flavor_id, extra_specs=tx.flavors.locked_specs(flavor_id) | given)
    return Json({"extra_specs": given})


@routes.get(PATH + "/{key}")
@operation("os_compute_api:os-flavor-extra-specs:show")
def show_extra_spec(flavor_id: str, key: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-flavor-extra-specs:show", caller)
    with kit.reading() as tx:
        specs = tx.flavors.find(flavor_id, project_id=scope_of(caller)).extra_specs
    if key not in specs:
        raise _unknown(flavor_id, key)
    return Json({key: specs[key]})


@routes.put(PATH + "/{key}")
@operation("os_compute_api:os-flavor-extra-specs:update", takes=OneExtraSpec)
def update_extra_spec(flavor_id: str, key: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-flavor-extra-specs:update", caller)
    given = read(ExtraSpecs, {"extra_specs": body}, version).extra_specs
    if len(given) != 1:
        raise InvalidInput("Invalid input for extra specs. Value: exactly one key is needed")
    if key not in given:
        raise InvalidInput("Request body and URI mismatch")
    _check(given, version)
    with kit.transaction() as tx:
        tx.flavors.change(flavor_id, extra_specs=tx.flavors.locked_specs(flavor_id) | given)
    return Json(given)


@routes.delete(PATH + "/{key}")
@operation("os_compute_api:os-flavor-extra-specs:delete")
def delete_extra_spec(flavor_id: str, key: str, caller: Caller, kit: KitOf) -> Response:
    """200, not 204."""
    kit.must("os-flavor-extra-specs:delete", caller)
    with kit.transaction() as tx:
        specs = tx.flavors.locked_specs(flavor_id)
        if specs.pop(key, None) is None:
            raise _unknown(flavor_id, key)
        tx.flavors.change(flavor_id, extra_specs=specs)
    return empty(200)


def _check(given: dict[str, str], version: int) -> None:
    if version >= CHECKED_SINCE:
        for name, value in given.items():
            must_be_valid(name, value)


def _unknown(flavor_id: str, key: str) -> NotFound:
    return NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.")
