"""`limits`: a project's quotas and how much of each is used, in one short answer."""

from __future__ import annotations

from fastapi import Request, Response

from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import Version, router
from services.compute.api.kit import KitOf
from services.compute.api.versions import LIMITS

routes = router()

# fmt: off
NAMES = {  # as this API calls it -> resource
    "maxTotalInstances": "instances",             "maxTotalCores": "cores",
    "maxTotalRAMSize": "ram",                     "maxTotalKeypairs": "key_pairs",
    "maxServerMeta": "metadata_items",            "maxImageMeta": "metadata_items",
    "maxServerGroups": "server_groups",           "maxServerGroupMembers": "server_group_members",
    "maxPersonality": "injected_files",           "maxPersonalitySize": "injected_file_content_bytes",
    "maxTotalFloatingIps": "floating_ips",        "maxSecurityGroups": "security_groups",
    "maxSecurityGroupRules": "security_group_rules",
}
USED = {
    "totalInstancesUsed": "instances",            "totalCoresUsed": "cores",
    "totalRAMUsed": "ram",                        "totalServerGroupsUsed": "server_groups",
    "totalFloatingIpsUsed": "floating_ips",       "totalSecurityGroupsUsed": "security_groups",
}
# fmt: on


@routes.get("/limits")
@operation("os_compute_api:limits", "os_compute_api:limits:other_project")
def show_limits(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Nothing is ever reserved, so `reserved=1` changes nothing."""
    kit.must("limits", caller)
    project_id = caller.project_id or ""
    if (other := request.query_params.get("tenant_id")) is not None:
        kit.must("limits:other_project", caller)
        project_id = other
    with kit.reading() as tx:
        limits, used = tx.quotas.of_project(project_id), tx.quotas.used(project_id)
    absolute = {name: limits[resource] for name, resource in NAMES.items()}
    absolute |= {name: used.get(resource, 0) for name, resource in USED.items()}
    return Json({"limits": {"rate": [], "absolute": LIMITS.at(version, absolute)}})
