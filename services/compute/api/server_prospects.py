"""Where new servers would go: the scheduler's own answer, taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Response
from sqlalchemy import select

from common.auth.callers import Caller
from common.http.json import Json
from services.compute.api.kit import Kit, Tx
from services.compute.api.server_views import host_id
from services.compute.core.filters import Explanation
from services.compute.db.tables import ServerRow
from services.compute.sagas.kit import Kit as SagaKit
from services.compute.sagas.kit import Rules
from services.compute.sagas.schedule import Prospect, prospect


def would_go(rows: Sequence[Mapping[str, Any]], tx: Tx, caller: Caller, kit: Kit) -> Response:
    """One after another, each with what those before it would hold; names of hosts are for administrators."""
    rules = Rules(host_down_s=kit.settings.service_down_s, weights=kit.settings.weights())
    scheduler, found = SagaKit(kit.database, kit.bus, rules), []
    for row in rows:
        server = tx.session.scalars(select(ServerRow).where(ServerRow.id == row["id"])).one()
        found.append((server, prospect(server, scheduler, tx.session)))
    shown = [_shown(server, one, caller) for server, one in found]
    return Json({"dry_run": {"fits": all(one.host is not None for _, one in found), "servers": shown}})


def _shown(server: ServerRow, found: Prospect, caller: Caller) -> dict[str, Any]:
    told = {
        "name": server.name,
        "fits": found.host is not None,
        "hostId": host_id(found.host, server.project_id),
        "OS-EXT-AZ:availability_zone": found.zone,
        "hosts": found.explanation.total,
        "filters": _filters(found.explanation, caller),
        "message": None if found.host is not None else found.explanation.message,
    }
    return told | ({"OS-EXT-SRV-ATTR:host": found.host} if caller.is_admin else {})


def _filters(explanation: Explanation, caller: Caller) -> list[dict[str, Any]]:
    return [
        {"name": rule.name, "removed": len(hosts), "reason": rule.removes}
        | ({"hosts": list(hosts)} if caller.is_admin else {})
        for rule, hosts in explanation.removed
    ]
