"""Availability zones: groups of hosts that fail together."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.clock import utc_now
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import router
from services.compute.api.kit import Kit, KitOf
from services.compute.api.server_views import microseconds
from services.compute.db.services import COMPUTE, is_up

routes = router()


@routes.get("/os-availability-zone")
@operation("os_compute_api:os-availability-zone:list")
def list_zones(caller: Caller, kit: KitOf) -> Response:
    """Those with hosts; a zone is available if one of its hosts is."""
    kit.must("os-availability-zone:list", caller)
    with kit.reading() as tx:
        services = tx.services.listed(binary=COMPUTE)
    return Json({"availabilityZoneInfo": [_zone(zone, ok, None) for zone, ok in _zones(services, kit).items()]})


@routes.get("/os-availability-zone/detail")
@operation("os_compute_api:os-availability-zone:detail")
def list_zones_whole(caller: Caller, kit: KitOf) -> Response:
    """With hosts and their services; the control plane's own zone too."""
    kit.must("os-availability-zone:detail", caller)
    with kit.reading() as tx:
        services = tx.services.listed()
    hosts: dict[str, dict[str, dict[str, Any]]] = {}
    for one in services:
        if not one.is_disabled:
            of_host = hosts.setdefault(one.zone, {}).setdefault(one.host, {})
            of_host[one.binary] = {
                "available": is_up(one, utc_now(), down_s=kit.settings.service_down_s),
                "active": not one.is_disabled,
                "updated_at": microseconds(one.seen_at),
            }
    return Json(
        {
            "availabilityZoneInfo": [
                _zone(zone, ok, hosts.get(zone) if ok else None) for zone, ok in _zones(services, kit).items()
            ]
        }
    )


def _zones(services: Any, kit: Kit) -> dict[str, bool]:
    """Zone -> whether it is available; the available ones first."""
    now, found = utc_now(), {one.zone: False for one in services}
    for one in services:
        if not one.is_disabled and is_up(one, now, down_s=kit.settings.service_down_s):
            found[one.zone] = True
    return dict(sorted(found.items(), key=lambda item: (not item[1], item[0])))


def _zone(name: str, available: bool, hosts: dict[str, Any] | None) -> dict[str, Any]:
    return {"zoneName": name, "zoneState": {"available": available}, "hosts": hosts}
