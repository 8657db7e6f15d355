"""The NUMA topology of a server, since 2.78: the guest's side of it, as its flavor and image ask."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import between, router
from services.compute.api.kit import KitOf, owner, scope_of
from services.compute.core.hardware import Processors, hardware_of_copies

routes = router()
RULE = "compute:server:topology:index"
RULES = {RULE: "rule:project_reader_or_admin"}


@routes.get("/servers/{server_id}/topology", dependencies=[between(78)])
@operation(RULE)
def show_topology(server_id: str, caller: Caller, kit: KitOf) -> Response:
    """A guest that asks for none has no nodes."""
    with kit.reading() as tx:
        server = tx.servers.find(server_id, project_id=scope_of(caller))
    kit.policy.must(RULE, caller, owner(server))
    processors = hardware_of_copies(server.image, server.flavor).processors
    pages = processors.page_size if isinstance(processors.page_size, int) else None
    return Json({"nodes": _nodes(processors), "pagesize_kb": pages})


def _nodes(processors: Processors) -> list[dict[str, Any]]:
    threads = processors.topology.threads if processors.topology else 1
    found = []
    for cell in processors.cells:
        cpus = sorted((*cell.shared, *cell.dedicated))
        siblings = [cpus[at : at + threads] for at in range(0, len(cpus), threads)] if threads > 1 else []
        found.append({"memory_mb": cell.memory_mib, "vcpu_set": cpus, "siblings": siblings})
    return found
