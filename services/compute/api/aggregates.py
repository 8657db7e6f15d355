"""Host aggregates: sets of hosts with metadata, which the scheduler heeds; one with a zone in it makes that zone."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

from fastapi import Response

from common.auth.callers import Caller as Who
from common.clock import utc_now
from common.errors import Conflict, InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import Actions, action, operation
from services.compute.api.asking import Body, Version, between, empty, router
from services.compute.api.kit import Kit, KitOf, Tx
from services.compute.api.schemas.aggregates import (
    AggregateMetadata,
    CacheImages,
    CreateAggregate,
    OneHost,
    UpdateAggregate,
)
from services.compute.api.schemas.parts import LARGEST_INT, read
from services.compute.api.server_views import microseconds
from services.compute.api.versions import AGGREGATE
from services.compute.contract import CacheImage
from services.compute.core.aggregates import ZONE
from services.compute.core.guests import GuestImage
from services.compute.db.aggregates import Aggregate

routes = router()
PATH = "/os-aggregates/{aggregate_id}"
ACTIONS: Actions = {}


@routes.get("/os-aggregates")
@operation("os_compute_api:os-aggregates:index")
def list_aggregates(caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-aggregates:index", caller)
    with kit.reading() as tx:
        found = tx.aggregates.listed()
    return Json({"aggregates": [_shown(one, version) for one in found]})


@routes.post("/os-aggregates")
@operation("os_compute_api:os-aggregates:create", takes=CreateAggregate)
def create_aggregate(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-aggregates:create", caller)
    asked = read(CreateAggregate, body, version).aggregate
    attributes = {ZONE: asked.availability_zone} if asked.availability_zone else {}
    row = {"id": uuid4(), "name": asked.name, "attributes": attributes, "created_at": utc_now()}
    with kit.transaction() as tx:
        made = tx.aggregates.find(tx.aggregates.add(row))
    shown = _shown(made, version)
    return Json({"aggregate": {key: value for key, value in shown.items() if key not in ("hosts", "metadata")}})


@routes.get(PATH)
@operation("os_compute_api:os-aggregates:show")
def show_aggregate(aggregate_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-aggregates:show", caller)
    with kit.reading() as tx:
        found = tx.aggregates.find(_number(aggregate_id))
    return Json({"aggregate": _shown(found, version)})


@routes.put(PATH)
@operation("os_compute_api:os-aggregates:update", takes=UpdateAggregate)
def update_aggregate(aggregate_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-aggregates:update", caller)
    asked = read(UpdateAggregate, body, version).aggregate
    if not asked.model_fields_set:
        raise InvalidInput(
            "Invalid input for field/attribute aggregate. Value: {}. {} is not valid under any of the given schemas"
        )
    with kit.transaction() as tx:
        before = tx.aggregates.locked(_number(aggregate_id))
        if "name" in asked.model_fields_set:
            tx.aggregates.change(before.number, name=asked.name)
        if "availability_zone" in asked.model_fields_set:
            _write(tx, before, {ZONE: asked.availability_zone}, kit, "update aggregate")
        tx.aggregates.change(before.number, updated_at=utc_now())
        after = tx.aggregates.find(before.number)
    return Json({"aggregate": _shown(after, version)})


@routes.delete(PATH)
@operation("os_compute_api:os-aggregates:delete")
def delete_aggregate(aggregate_id: str, caller: Caller, kit: KitOf) -> Response:
    """Only without hosts."""
    kit.must("os-aggregates:delete", caller)
    with kit.transaction() as tx:
        found = tx.aggregates.locked(_number(aggregate_id))
        if found.hosts:
            raise InvalidInput(_cannot("remove host from aggregate", found, "Host aggregate is not empty"))
        tx.aggregates.remove(found.number)
    return empty(200)


@routes.post(PATH + "/action")
@operation(actions=ACTIONS)
def act_on_aggregate(aggregate_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """`{"add_host": {...}}` and its like; one key names the action."""
    name = str(next(iter(body))) if isinstance(body, dict) and body else ""
    if name not in ACTIONS:
        raise InvalidInput(f"There is no such action: {name[:64]}" if name else "Malformed request body")
    if len(body) > 1:
        other = next(key for key in body if key != name)
        raise InvalidInput(f"Additional properties are not allowed ({other!r:.64} was unexpected)")
    kit.must(f"os-aggregates:{name}", caller)
    with kit.transaction() as tx:
        number = ACTIONS[name](tx, _number(aggregate_id), body[name], kit, version)
        found = tx.aggregates.find(number)
    return Json({"aggregate": _shown(found, version)})


@action(ACTIONS, "add_host", "os_compute_api:os-aggregates:add_host", takes=OneHost)
def _add_host(tx: Tx, number: int, options: Any, kit: Kit, version: int) -> int:
    """A host is in one zone, and does not change it while it has servers."""
    host = read(OneHost, options, version).host
    if not tx.aggregates.has_host(host):
        raise NotFound(f"Host '{host[:64]}' is not mapped to any cell")
    found = tx.aggregates.locked(number)
    if host in found.hosts:
        raise Conflict(f"Aggregate {number} already has host {host}.")
    zones = tx.aggregates.zones_of([host], besides=number)
    if found.zone and set(zones) - {found.zone}:
        reason = f"One or more hosts already in availability zone(s) {zones}"
        raise Conflict(_cannot("add host to aggregate", found, reason))
    if found.zone and not zones and (count := tx.aggregates.servers_on([host])):
        reason = _would_move("added to", kit.settings.default_zone, found.zone, count)
        raise Conflict(_cannot("add host to aggregate", found, reason))
    tx.aggregates.join(number, host)
    tx.aggregates.change(number, updated_at=utc_now())
    tx.aggregates.renew_zones([host], kit.settings.default_zone)
    return number


@action(ACTIONS, "remove_host", "os_compute_api:os-aggregates:remove_host", takes=OneHost)
def _remove_host(tx: Tx, number: int, options: Any, kit: Kit, version: int) -> int:
    host = read(OneHost, options, version).host
    try:
        found = tx.aggregates.locked(number)
    except NotFound as error:
        raise NotFound(f"Cannot remove host {host} in aggregate {number}") from error
    if host not in found.hosts:
        raise NotFound(f"Cannot remove host {host} in aggregate {number}")
    others = tx.aggregates.zones_of([host], besides=number)
    if found.zone and not others and (count := tx.aggregates.servers_on([host])):
        reason = _would_move("removed from", found.zone, kit.settings.default_zone, count)
        raise Conflict(_cannot("remove host from aggregate", found, reason))
    tx.aggregates.leave(number, host)
    tx.aggregates.change(number, updated_at=utc_now())
    tx.aggregates.renew_zones([host], kit.settings.default_zone)
    return number


@action(ACTIONS, "set_metadata", "os_compute_api:os-aggregates:set_metadata", takes=AggregateMetadata)
def _set_metadata(tx: Tx, number: int, options: Any, kit: Kit, version: int) -> int:
    """Items join the others; null takes one away."""
    given = read(AggregateMetadata, options, version).metadata
    _write(tx, tx.aggregates.locked(number), given, kit, "update metadata of aggregate")
    return number


@routes.post(PATH + "/images", dependencies=[between(81)])
@operation("compute:aggregates:images", takes=CacheImages)
def cache_images(aggregate_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Ask the hosts to fetch images before they are needed; each does it in its own time."""
    kit.policy.must("compute:aggregates:images", caller)
    ids = [one.id for one in read(CacheImages, body, version).cache]
    if len(ids) != len(set(ids)):
        raise InvalidInput("Duplicate images in request")
    with kit.reading() as tx:
        found = tx.aggregates.find(_number(aggregate_id))
    for image in [_guest_image(one, caller, kit) for one in ids]:
        for host in found.hosts:
            kit.bus.send(CacheImage(image=image), host=host)
    return empty(202)


def _guest_image(image_id: Any, caller: Who, kit: Kit) -> GuestImage:
    try:
        image = kit.images.show(image_id, token=caller.token)
    except NotFound as error:
        raise InvalidInput(f"Image {image_id} could not be found.") from error
    if image.status != "active" or not image.os_hash_value:
        raise InvalidInput(f"Image {image_id} is not active.")
    return GuestImage(
        id=image.id,
        sha512=image.os_hash_value,
        size_bytes=image.size or 0,
        disk_format=image.disk_format or "raw",
    )


def _write(tx: Tx, found: Aggregate, given: Mapping[str, str | None], kit: Kit, verb: str) -> None:
    """Its metadata; a zone may come, change or go only while no server is on its hosts."""
    if ZONE in given:
        zone = given[ZONE]
        if not zone:
            reason = f"Aggregate {found.name} does not support empty named availability zone"
            raise InvalidInput(_cannot(verb, found, reason))
        _must_be_free(tx, found, zone, verb)
    kept = {key: value for key, value in {**found.attributes, **given}.items() if value is not None}
    tx.aggregates.change(found.number, attributes=kept, updated_at=utc_now())
    tx.aggregates.renew_zones(found.hosts, kit.settings.default_zone)


def _must_be_free(tx: Tx, found: Aggregate, zone: str, verb: str) -> None:
    others: Collection[str] = [one for one in tx.aggregates.zones_of(found.hosts, besides=found.number) if one != zone]
    if others:
        raise InvalidInput(_cannot(verb, found, f"One or more hosts already in availability zone(s) {others}"))
    if zone != found.zone and tx.aggregates.servers_on(found.hosts):
        raise InvalidInput(_cannot(verb, found, "One or more hosts contain instances in this zone"))


def _cannot(verb: str, found: Aggregate, reason: str) -> str:
    return f"Cannot {verb} {found.number}. Reason: {reason}."


def _would_move(how: str, old: str, new: str, count: int) -> str:
    return (
        f"The host cannot be {how} the aggregate as the availability zone of the host would change from '{old}' to "
        f"'{new}' but the host already has {count} instance(s)"
    )


def _number(written: str) -> int:
    """InvalidInput, NotFound: ids are positive, and not that large"""
    if re.fullmatch(r"-?[0-9]{1,18}", written) is None:
        raise InvalidInput("id must be an integer")
    if (number := int(written)) > LARGEST_INT or number < 0:
        raise NotFound(f"Aggregate {written} could not be found.")
    return number


def _shown(one: Aggregate, version: int) -> dict[str, Any]:
    aggregate = {
        "id": one.number,
        "uuid": str(one.id),
        "name": one.name,
        "availability_zone": one.zone,
        "hosts": list(one.hosts),
        "metadata": one.attributes,
        "created_at": microseconds(one.created_at),
        "updated_at": microseconds(one.updated_at),
        "deleted": False,
        "deleted_at": None,
    }
    return AGGREGATE.at(version, aggregate)
