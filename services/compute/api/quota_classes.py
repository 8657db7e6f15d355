"""Quota classes: limits under a name.  Class "default" holds what projects have that were given nothing else."""

from __future__ import annotations

from fastapi import Response

from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import Body, Version, router
from services.compute.api.kit import KitOf
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.quotas import UpdateQuotaClass
from services.compute.api.versions import QUOTA_CLASS_SET

routes = router()
PATH = "/os-quota-class-sets/{quota_class}"


@routes.get(PATH)
@operation("os_compute_api:os-quota-class-sets:show")
def show_class(quota_class: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    """A class that nobody made has the limits of the settings."""
    kit.must("os-quota-class-sets:show", caller)
    with kit.reading() as tx:
        limits = tx.quotas.of_class(quota_class)
    return Json({"quota_class_set": QUOTA_CLASS_SET.at(version, {"id": quota_class} | limits)})


@routes.put(PATH)
@operation("os_compute_api:os-quota-class-sets:update", takes=UpdateQuotaClass)
def update_class(quota_class: str, body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """The cloud's defaults change at once, for every project that has no limit of its own."""
    kit.must("os-quota-class-sets:update", caller)
    asked = read(UpdateQuotaClass, body, version).quota_class_set
    if len(quota_class) > 255:
        raise InvalidInput("quota_class_name has more than 255 characters.")
    with kit.transaction() as tx:
        tx.quotas.change_class(quota_class, asked.given())
        limits = tx.quotas.of_class(quota_class)
    return Json({"quota_class_set": QUOTA_CLASS_SET.at(version, limits)})
