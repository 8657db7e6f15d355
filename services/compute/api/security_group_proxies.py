"""Security groups as this API showed them until 2.35, and those of one server, at any version.  This cloud has none."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.auth.callers import Caller as Who
from common.errors import InvalidInput, NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import action, operation
from services.compute.api.acting import ACTIONS
from services.compute.api.asking import Body, Version, between, router
from services.compute.api.faults import NotBuilt
from services.compute.api.kit import Kit, KitOf, seen
from services.compute.api.schemas.attachments import GroupOfRules
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.proxies import CreateRule, WriteGroup
from services.compute.db.servers import as_uuid

routes = router()
UNTIL = [between(1, 35)]
READ, WRITE = "rule:project_reader_or_admin", "rule:project_member_or_admin"
RULE = "os_compute_api:os-security-groups:"
RULES = {f"{RULE}{name}": READ for name in ("get", "show", "list")} | {
    f"{RULE}{name}": WRITE for name in ("create", "update", "delete", "rule:create", "rule:delete", "add", "remove")
}


@routes.get("/os-security-groups", dependencies=UNTIL)
@operation(f"{RULE}get")
def list_groups(caller: Caller, kit: KitOf) -> Response:
    kit.must("os-security-groups:get", caller)
    return Json({"security_groups": []})


@routes.post("/os-security-groups", dependencies=UNTIL)
@operation(f"{RULE}create", takes=WriteGroup)
def create_group(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-security-groups:create", caller)
    read(WriteGroup, body, version)
    raise NotBuilt


@routes.get("/os-security-groups/{group_id}", dependencies=UNTIL)
@operation(f"{RULE}show")
def show_group(group_id: str, caller: Caller, kit: KitOf) -> Response:
    """Not found by a name either: `openstack` then looks for it in the list."""
    kit.must("os-security-groups:show", caller)
    raise NotFound(f"Security group {group_id[:255]} not found.")


@routes.put("/os-security-groups/{group_id}", dependencies=UNTIL)
@operation(f"{RULE}update", takes=WriteGroup)
def update_group(group_id: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-security-groups:update", caller)
    read(WriteGroup, body, version)
    raise _no_group(group_id)


@routes.delete("/os-security-groups/{group_id}", dependencies=UNTIL)
@operation(f"{RULE}delete")
def delete_group(group_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-security-groups:delete", caller)
    raise _no_group(group_id)


@routes.post("/os-security-group-rules", dependencies=UNTIL)
@operation(f"{RULE}rule:create", takes=CreateRule)
def create_rule(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-security-groups:rule:create", caller)
    raise _no_group(str(read(CreateRule, body, version).security_group_rule.parent_group_id))


@routes.delete("/os-security-group-rules/{rule_id}", dependencies=UNTIL)
@operation(f"{RULE}rule:delete")
def delete_rule(rule_id: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("os-security-groups:rule:delete", caller)
    raise _no_group(rule_id, f"Security group rule {rule_id[:64]} does not exist")


@routes.get("/servers/{server_id}/os-security-groups")
@operation(f"{RULE}list")
def list_groups_of(server_id: str, caller: Caller, kit: KitOf) -> Response:
    seen(server_id, "os-security-groups:list", caller, kit)
    return Json({"security_groups": []})


@action(ACTIONS, "addSecurityGroup", f"{RULE}add", takes=GroupOfRules)
def add_group(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return _changed("add", server_id, options, caller, kit, version)


@action(ACTIONS, "removeSecurityGroup", f"{RULE}remove", takes=GroupOfRules)
def remove_group(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return _changed("remove", server_id, options, caller, kit, version)


def _changed(verb: str, server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    name = read(GroupOfRules, options, version).name
    seen(server_id, f"os-security-groups:{verb}", caller, kit)
    if not name.strip():
        raise InvalidInput("Security group name cannot be empty")
    raise NotFound(f"Security group {name[:255]} is not found for project {caller.project_id}")


def _no_group(given: str, message: str = "") -> NotFound | InvalidInput:
    """No group or rule has this id; InvalidInput if nothing could."""
    if as_uuid(given) is None:
        return InvalidInput("Security group id should be uuid")
    return NotFound(message or f"Security group {given} not found.")
