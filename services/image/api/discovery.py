"""What clients ask before they act: ways to import, stores, and how much of its quota the project uses."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Response

from common.http.identity import Caller, authenticated
from common.http.json import Json
from common.http.operations import operation
from services.image.api.kit import Kit, KitOf
from services.image.core.quotas import Quotas
from services.image.db.usage import Usage

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at


@router.get("/v2/info/import")
@operation()
def import_methods(caller: Caller, kit: KitOf) -> Response:
    methods = {"description": "Import methods available.", "type": "array", "value": kit.settings.import_methods}
    return Json({"import-methods": methods})


@router.get("/v2/info/stores")
@operation()
def stores(caller: Caller, kit: KitOf) -> Response:
    return Json({"stores": _stores(kit)})


@router.get("/v2/info/stores/detail")
@operation("stores_info_detail")
def stores_in_detail(caller: Caller, kit: KitOf) -> Response:
    """With their kind; where their bytes lie is nobody's business."""
    kit.policy.must("stores_info_detail", caller)
    more = {"properties": {"chunk_size": 1 << 20, "thin_provisioning": False}}
    kinds = {name: {"type": store.kind, "weight": kit.stores.weights.get(name, 0)} for name, store in kit.stores}
    return Json({"stores": [one | kinds[one["id"]] | more for one in _stores(kit)]})


@router.get("/v2/info/usage")
@operation()
def usage(caller: Caller, kit: KitOf) -> Response:
    """Limits and use of the caller's project; sizes are in MiB, a limit of -1 is none."""
    limits = Quotas.of(kit.settings)
    with kit.database.reading() as session:
        used = Usage(session).of(caller.project_id)
    return Json({"usage": limits.shown(used)})


def _stores(kit: Kit) -> list[dict[str, Any]]:
    default = kit.stores.default_id
    return [{"id": name} | ({"default": "true"} if name == default else {}) for name in kit.stores.ids]
