"""Networks and floating IPs as this API showed them until 2.35.  This cloud has none: the lists are empty."""

from __future__ import annotations

from fastapi import Response

from common.errors import NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import between, router
from services.compute.api.kit import KitOf

routes = router()
LAST = 35


@routes.get("/os-networks", dependencies=[between(1, LAST)])
@operation("os_compute_api:os-networks:list")
def list_networks(caller: Caller, kit: KitOf) -> Response:
    kit.must("os-networks:list", caller)
    return Json({"networks": []})


@routes.get("/os-networks/{network_id}", dependencies=[between(1, LAST)])
@operation("os_compute_api:os-networks:show")
def show_network(network_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-networks:show", caller)
    raise NotFound("Network not found")


@routes.get("/os-tenant-networks", dependencies=[between(1, LAST)])
@operation("os_compute_api:os-tenant-networks:list")
def list_project_networks(caller: Caller, kit: KitOf) -> Response:
    kit.must("os-tenant-networks:list", caller)
    return Json({"networks": []})


@routes.get("/os-tenant-networks/{network_id}", dependencies=[between(1, LAST)])
@operation("os_compute_api:os-tenant-networks:show")
def show_project_network(network_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-tenant-networks:show", caller)
    raise NotFound("Network not found")


@routes.get("/os-floating-ip-pools", dependencies=[between(1, LAST)])
@operation("os_compute_api:os-floating-ip-pools")
def list_pools(caller: Caller, kit: KitOf) -> Response:
    kit.must("os-floating-ip-pools", caller)
    return Json({"floating_ip_pools": []})


@routes.get("/os-floating-ips", dependencies=[between(1, LAST)])
@operation("os_compute_api:os-floating-ips:list")
def list_addresses(caller: Caller, kit: KitOf) -> Response:
    kit.must("os-floating-ips:list", caller)
    return Json({"floating_ips": []})


@routes.post("/os-floating-ips", dependencies=[between(1, LAST)])
@operation("os_compute_api:os-floating-ips:create")
def create_address(caller: Caller, kit: KitOf) -> Response:
    """Nova's answer where no network is external."""
    kit.must("os-floating-ips:create", caller)
    raise NotFound("Floating IP pool not found.")


@routes.get("/os-floating-ips/{address_id}", dependencies=[between(1, LAST)])
@operation("os_compute_api:os-floating-ips:show")
def show_address(address_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-floating-ips:show", caller)
    raise NotFound(f"Floating IP not found for ID {address_id[:64]}")


@routes.delete("/os-floating-ips/{address_id}", dependencies=[between(1, LAST)])
@operation("os_compute_api:os-floating-ips:delete")
def delete_address(address_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-floating-ips:delete", caller)
    raise NotFound(f"Floating IP not found for ID {address_id[:64]}")
