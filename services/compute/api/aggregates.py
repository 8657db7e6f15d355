"""Host aggregates: groups of hosts with metadata.  None can be made yet, so there are none; clients ask all the same."""

from __future__ import annotations

from fastapi import Response

from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import router
from services.compute.api.kit import KitOf

routes = router()


@routes.get("/os-aggregates")
@operation("os_compute_api:os-aggregates:index")
def list_aggregates(caller: Caller, kit: KitOf) -> Response:
    """`openstack hypervisor show` looks here for a host's aggregates."""
    kit.must("os-aggregates:index", caller)
    return Json({"aggregates": []})
