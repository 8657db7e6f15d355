"""How much is held: of a provider, and by a project."""

from __future__ import annotations

import re
from typing import Any

from fastapi import Request, Response

from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.operations import operation
from services.compute.api.placement.asking import Version, answer, between, must_be_known, router
from services.compute.api.placement.kit import KitOf, Tx
from services.compute.api.placement.providers import PATH

routes = router()
KINDS_SINCE = 38
INVALID = "Invalid query string parameters: "
UNKNOWN, ALL, COUNT = "unknown", "all", "consumer_count"


@routes.get(f"{PATH}/usages")
@operation("placement:resource_providers:usages")
def list_usages_of_provider(provider_id: str, caller: Caller, kit: KitOf, version: Version) -> Response:
    kit.must("resource_providers:usages", caller)
    with kit.reading() as tx:
        row = tx.providers.find(provider_id)
        usages = {one.resource_class: one.used for one in tx.inventories.of(row.id)}
    return answer({"resource_provider_generation": row.generation, "usages": usages}, version)


@routes.get("/usages", dependencies=[between(9)])
@operation("placement:usages", filters=("project_id", "user_id", "consumer_type"))
def list_usages(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Sums of a project, or of a user in it; since 1.38 by type of consumer."""
    query = request.query_params
    project_id, user_id = query.get("project_id"), query.get("user_id")
    kit.must("usages", caller, None if project_id is None else {"project_id": project_id})
    must_be_known(request, ("project_id", "user_id", *(("consumer_type",) if version >= KINDS_SINCE else ())))
    if project_id is None:
        raise InvalidInput(f"{INVALID}'project_id' is a required property")
    for name in ("project_id", "user_id", "consumer_type"):
        if name in query and not 1 <= len(query[name]) <= 255:
            raise InvalidInput(f"{INVALID}{query[name][:64]!r} is too {'long' if query[name] else 'short'}")
    kind = query.get("consumer_type") if version >= KINDS_SINCE else ALL
    if kind not in (None, ALL, UNKNOWN) and re.fullmatch("[A-Z0-9_]+", str(kind)) is None:
        raise InvalidInput(f"{INVALID}{str(kind)[:64]!r} does not match '^[A-Z0-9_]+$|^all|^unknown$'")
    with kit.reading() as tx:
        by_kind = _by_kind(tx, project_id, user_id, kind)
    if version >= KINDS_SINCE:
        return answer({"usages": by_kind}, version)
    return answer({"usages": {name: sum_ for name, sum_ in by_kind.get(ALL, {}).items() if name != COUNT}}, version)


def _by_kind(tx: Tx, project_id: str, user_id: str | None, kind: str | None) -> dict[str, dict[str, Any]]:
    """Type -> class -> sum, and how many consumers; the type is "all" where types are not told apart."""
    chosen = None if kind == ALL else kind
    counts = tx.allocations.counts(project_id, user_id, chosen)
    found: dict[str, dict[str, Any]] = {}
    for row in tx.allocations.usage(project_id, user_id, chosen):
        sums = found.setdefault(ALL if kind == ALL else row.kind or UNKNOWN, {})
        sums[row.resource_class] = sums.get(row.resource_class, 0) + int(row.used)
    for name, sums in found.items():
        sums[COUNT] = sum(counts.values()) if name == ALL else counts[None if name == UNKNOWN else name]
    return found
