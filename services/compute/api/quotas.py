"""Quotas: what a project may have, and (`limits`) how much of it is left."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import Body, Version, empty, router
from services.compute.api.kit import Kit, KitOf
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.quotas import UpdateQuota
from services.compute.api.versions import LIMITS, QUOTA_SET
from services.compute.core.quotas import COUNTED, FIXED, UNLIMITED, Amount

routes = router()
PATH = "/os-quota-sets/{project_id}"


@routes.get(PATH)
@operation("os_compute_api:os-quota-sets:show")
def show_quota(project_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-quota-sets:show", caller, {"project_id": project_id})
    _must_be_project(project_id)
    with kit.reading() as tx:
        limits = tx.quotas.of_project(project_id, _defaults(kit))
    return Json({"quota_set": QUOTA_SET.at(version, {"id": project_id} | limits)})


@routes.get(PATH + "/detail")
@operation("os_compute_api:os-quota-sets:detail")
def show_quota_whole(project_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """With what is used; nothing is ever reserved, since use is counted when it is asked for."""
    kit.must("os-quota-sets:detail", caller, {"project_id": project_id})
    _must_be_project(project_id)
    with kit.reading() as tx:
        limits, used = tx.quotas.of_project(project_id, _defaults(kit)), tx.servers.used(project_id)
    whole = {
        name: {"limit": limit, "in_use": getattr(used, name) if name in COUNTED else 0, "reserved": 0}
        for name, limit in limits.items()
    }
    return Json({"quota_set": QUOTA_SET.at(version, {"id": project_id} | whole)})


@routes.get(PATH + "/defaults")
@operation("os_compute_api:os-quota-sets:defaults")
def show_defaults(project_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-quota-sets:defaults", caller)
    _must_be_project(project_id)
    return Json({"quota_set": QUOTA_SET.at(version, {"id": project_id} | _defaults(kit))})


@routes.put(PATH)
@operation("os_compute_api:os-quota-sets:update", takes=UpdateQuota)
def update_quota(project_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """A limit below what is used is refused, unless it is forced."""
    kit.must("os-quota-sets:update", caller)
    _must_be_project(project_id)
    asked = read(UpdateQuota, body, version).quota_set
    given = {name: value for name in asked.model_fields_set if (value := getattr(asked, name)) is not None}
    forced = given.pop("force", False)
    with kit.transaction() as tx:
        tx.servers.take_turn(project_id)
        if not forced:
            _must_cover(given, tx.servers.used(project_id))
        tx.quotas.change(project_id, given)
        limits = tx.quotas.of_project(project_id, _defaults(kit))
    return Json({"quota_set": QUOTA_SET.at(version, limits)})


@routes.delete(PATH)
@operation("os_compute_api:os-quota-sets:delete")
def delete_quota(project_id: str, caller: Caller, kit: KitOf) -> Response:
    """Back to the defaults; also for a project that never had its own."""
    kit.must("os-quota-sets:delete", caller)
    with kit.transaction() as tx:
        tx.quotas.forget(project_id)
    return empty()


@routes.get("/limits")
@operation("os_compute_api:limits", "os_compute_api:limits:other_project")
def show_limits(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("limits", caller)
    project_id = caller.project_id or ""
    if (other := request.query_params.get("tenant_id")) and other != project_id:
        kit.must("limits:other_project", caller)
        project_id = other
    with kit.reading() as tx:
        limits, used = tx.quotas.of_project(project_id, _defaults(kit)), tx.servers.used(project_id)
    absolute = {name: limits[resource] for name, resource in LIMIT_NAMES.items()} | _used(used)
    return Json({"limits": {"rate": [], "absolute": LIMITS.at(version, absolute)}})


# fmt: off
LIMIT_NAMES = {
    "maxTotalInstances": "instances",             "maxTotalCores": "cores",
    "maxTotalRAMSize": "ram",                     "maxTotalKeypairs": "key_pairs",
    "maxServerMeta": "metadata_items",            "maxImageMeta": "metadata_items",
    "maxServerGroups": "server_groups",           "maxServerGroupMembers": "server_group_members",
    "maxPersonality": "injected_files",           "maxPersonalitySize": "injected_file_content_bytes",
    "maxTotalFloatingIps": "floating_ips",        "maxSecurityGroups": "security_groups",
    "maxSecurityGroupRules": "security_group_rules",
}
# fmt: on


def _used(used: Amount) -> dict[str, int]:
    return {
        "totalInstancesUsed": used.instances,
        "totalCoresUsed": used.cores,
        "totalRAMUsed": used.ram,
        "totalServerGroupsUsed": 0,
        "totalFloatingIpsUsed": 0,
        "totalSecurityGroupsUsed": 0,
    }


def _defaults(kit: Kit) -> dict[str, int]:
    return FIXED | kit.settings.quotas()


def _must_cover(given: Mapping[str, Any], used: Amount) -> None:
    for name in COUNTED:
        limit, minimum = given.get(name, UNLIMITED), getattr(used, name)
        if limit != UNLIMITED and limit < minimum:
            raise InvalidInput(
                f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved {minimum}."
            )


def _must_be_project(project_id: str) -> None:
    """Ids of projects are 32 hex digits, or what identity's `default` is like."""
    if re.fullmatch(r"[a-zA-Z0-9-]{1,64}", project_id) is None:
        raise InvalidInput(f"Project ID {project_id[:64]} is not a valid project.")
