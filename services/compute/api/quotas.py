"""Quotas: what a project, or one user within it, may have.  How much of it is used is in `limits.py`, too."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request, Response

from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import Body, Version, empty, router
from services.compute.api.kit import KitOf, Tx, must_be_project
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.quotas import UpdateQuota
from services.compute.api.versions import QUOTA_SET
from services.compute.core.quotas import must_be_settable

routes = router()
PATH = "/os-quota-sets/{project_id}"


@routes.get(PATH)
@operation("os_compute_api:os-quota-sets:show")
def show_quota(project_id: str, request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-quota-sets:show", caller, {"project_id": project_id})
    must_be_project(kit, project_id, caller)
    with kit.reading() as tx:
        limits = tx.quotas.of_project(project_id, _user(request))
    return Json({"quota_set": QUOTA_SET.at(version, {"id": project_id} | limits)})


@routes.get(PATH + "/detail")
@operation("os_compute_api:os-quota-sets:detail")
def show_quota_whole(project_id: str, request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    """With what is used; nothing is ever reserved, since use is counted when it is asked for."""
    kit.must("os-quota-sets:detail", caller, {"project_id": project_id})
    must_be_project(kit, project_id, caller)
    user_id = _user(request)
    with kit.reading() as tx:
        limits, used = tx.quotas.of_project(project_id, user_id), tx.quotas.used(project_id, user_id)
    whole = {name: {"limit": most, "in_use": used.get(name, 0), "reserved": 0} for name, most in limits.items()}
    return Json({"quota_set": QUOTA_SET.at(version, {"id": project_id} | whole)})


@routes.get(PATH + "/defaults")
@operation("os_compute_api:os-quota-sets:defaults")
def show_defaults(project_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("os-quota-sets:defaults", caller)
    must_be_project(kit, project_id, caller)
    with kit.reading() as tx:
        limits = tx.quotas.defaults()
    return Json({"quota_set": QUOTA_SET.at(version, {"id": project_id} | limits)})


@routes.put(PATH)
@operation("os_compute_api:os-quota-sets:update", takes=UpdateQuota)
def update_quota(
    project_id: str, request: Request, body: Body, caller: Caller, kit: KitOf, version: Version
) -> Response:
    """A limit below what is used, or a user's above the project's, is refused, unless it is forced."""
    kit.must("os-quota-sets:update", caller)
    must_be_project(kit, project_id, caller)
    asked, user_id = read(UpdateQuota, body, version).quota_set, _user(request)
    with kit.transaction() as tx:
        tx.quotas.take_turn(project_id)
        if not asked.force:
            _must_be_settable(tx, asked.given(), project_id, user_id)
        tx.quotas.change(project_id, asked.given(), user_id)
        limits = tx.quotas.of_project(project_id, user_id)
    return Json({"quota_set": QUOTA_SET.at(version, limits)})


@routes.delete(PATH)
@operation("os_compute_api:os-quota-sets:delete")
def delete_quota(project_id: str, request: Request, caller: Caller, kit: KitOf) -> Response:
    """Back to the defaults; also for a project that never had its own, or is gone."""
    kit.must("os-quota-sets:delete", caller)
    with kit.transaction() as tx:
        tx.quotas.forget(project_id, _user(request))
    return empty()


def _user(request: Request) -> str | None:
    return request.query_params.get("user_id") or None


def _must_be_settable(tx: Tx, given: Mapping[str, int], project_id: str, user_id: str | None) -> None:
    most = tx.quotas.of_project(project_id) if user_id is not None else {}
    must_be_settable(given, tx.quotas.used(project_id, user_id), most)
