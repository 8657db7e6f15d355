"""The processes of the compute service, and switching a host off for new servers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import Request, Response

from common.clock import utc_now
from common.errors import Conflict, InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import Body, Version, empty, must_exist, router
from services.compute.api.kit import Kit, KitOf
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.services import NamedService, UpdateService
from services.compute.api.server_views import microseconds
from services.compute.api.versions import SERVICE
from services.compute.db.servers import as_uuid
from services.compute.db.services import COMPUTE, is_up

routes = router()
BY_ID = 53


@routes.get("/os-services")
@operation("os_compute_api:os-services:list")
def list_services(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-services:list", caller)
    query = request.query_params
    with kit.reading() as tx:
        rows = tx.services.listed(host=query.get("host") or None, binary=query.get("binary") or None)
    return Json({"services": [_shown(row, kit, version) for row in rows]})


@routes.put("/os-services/{service_id}")
@operation("os_compute_api:os-services:update", takes=UpdateService)
def update_service(service_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """By id since 2.53; before, the last part of the path says what to do to the service that the body names."""
    kit.must("os-services:update", caller)
    if version < BY_ID:
        return Json({"service": _update_named(service_id, read(NamedService, body, version), kit, version)})
    _must_be_id(service_id)
    changes = _changes(read(UpdateService, body, version))
    with kit.transaction() as tx:
        service = tx.services.find(service_id)
        _must_be_compute(service.binary)
        tx.services.change(service.id, **changes)
        service = tx.services.find(service_id)
    return Json({"service": _shown(service, kit, version)})


@routes.delete("/os-services/{service_id}")
@operation("os_compute_api:os-services:delete")
def delete_service(service_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Forget a process that will not come back.  A host that has servers stays.  Conflict"""
    kit.must("os-services:delete", caller)
    with kit.transaction() as tx:
        if version >= BY_ID:
            _must_be_id(service_id)
            found = [row for row in tx.services.listed() if row.id == as_uuid(service_id)]
        else:
            found = [row for row in tx.services.listed() if str(row.number) == service_id]
        if not found:
            raise NotFound(f"Service {service_id[:64]} not found.")
        if found[0].binary == COMPUTE and tx.servers.on_hosts([found[0].host]):
            raise Conflict(
                "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."
            )
        if found[0].binary == COMPUTE:
            tx.aggregates.leave(None, found[0].host)
        tx.services.remove(found[0].id)
    return empty(204)


def _update_named(verb: str, asked: NamedService, kit: Kit, version: int) -> dict[str, Any]:
    changes, answer = _named_changes(verb, asked, version)
    _must_be_compute(asked.binary)
    with kit.transaction() as tx:
        service_id: UUID = tx.services.named(asked.host, asked.binary).id
        tx.services.change(service_id, **changes)
    return {"host": asked.host, "binary": asked.binary} | answer


def _named_changes(verb: str, asked: NamedService, version: int) -> tuple[dict[str, Any], dict[str, Any]]:
    if verb == "enable":
        return {"is_disabled": False, "disabled_reason": None}, {"status": "enabled"}
    if verb == "disable":
        return {"is_disabled": True, "disabled_reason": None}, {"status": "disabled"}
    if verb == "disable-log-reason":
        if asked.disabled_reason is None:
            raise InvalidInput("Missing disabled reason field")
        reason = {"disabled_reason": asked.disabled_reason}
        return {"is_disabled": True} | reason, {"status": "disabled"} | reason
    if verb == "force-down":
        must_exist(11, version)
        if asked.forced_down is None:
            raise InvalidInput("Missing forced_down field")
        return {"is_forced_down": asked.forced_down}, {"forced_down": asked.forced_down}
    raise NotFound("Unknown action")


def _changes(asked: UpdateService) -> dict[str, Any]:
    """Column -> value.  InvalidInput for a body that says nothing, or gives a reason for what is not disabled."""
    if not asked.model_fields_set:
        raise InvalidInput("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
    if asked.disabled_reason is not None and asked.status != "disabled":
        raise InvalidInput("Specifying disabled_reason requires that status be set to disabled.")
    changes: dict[str, Any] = {}
    if asked.status is not None:
        changes |= {"is_disabled": asked.status == "disabled", "disabled_reason": asked.disabled_reason}
    if asked.forced_down is not None:
        changes["is_forced_down"] = asked.forced_down
    return changes


def _must_be_id(service_id: str) -> None:
    if as_uuid(service_id) is None:
        raise InvalidInput(f"Invalid uuid {service_id[:64]}")


def _must_be_compute(binary: str) -> None:
    if binary != COMPUTE:
        raise InvalidInput(
            f"Updating a {binary[:64]} service is not supported. Only nova-compute services can be updated."
        )


def _shown(row: Any, kit: Kit, version: int) -> dict[str, Any]:
    up = is_up(row, utc_now(), down_s=kit.settings.service_down_s)
    service = {
        "id": str(row.id),
        "number": row.number,
        "binary": row.binary,
        "host": row.host,
        "zone": row.zone,
        "status": "disabled" if row.is_disabled else "enabled",
        "state": "up" if up else "down",
        "updated_at": microseconds(row.seen_at),
        "disabled_reason": row.disabled_reason,
        "forced_down": row.is_forced_down,
    }
    SERVICE.at(version, service)
    service.pop("number", None)
    return service
