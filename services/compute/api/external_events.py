"""What other services tell of servers: a port was plugged, a volume grew.  Each event is answered by itself."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import Response

from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import Body, Version, router
from services.compute.api.kit import KitOf
from services.compute.api.schemas.external_events import WITH_TAG, ServerEvent, ServerEvents, must_be_event
from services.compute.api.schemas.parts import read

log = logging.getLogger(__name__)
routes = router()


@routes.post("/os-server-external-events")
@operation("os_compute_api:os-server-external-events:create", takes=ServerEvents)
def take_events(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """200 if every event found its server on a host, 207 otherwise; the code of each is in the answer."""
    kit.must("os-server-external-events:create", caller, {})
    events = read(ServerEvents, body, version).events
    for event in events:
        must_be_event(event.name, version)
    with kit.reading() as tx:
        hosts = tx.servers.hosts_of({event.server_uuid for event in events})
    shown = [_answered(event, given, hosts) for event, given in zip(events, body["events"], strict=True)]
    for one in shown:
        log.info("external event", extra={"event": one["name"], "server_id": one["server_uuid"], "code": one["code"]})
    return Json({"events": shown}, 200 if all(one["code"] == 200 for one in shown) else 207)


def _answered(event: ServerEvent, given: dict[str, Any], hosts: dict[Any, str | None]) -> dict[str, Any]:
    if event.server_uuid not in hosts:
        code = 404
    elif event.name in WITH_TAG and event.tag is None:
        code = 400
    else:
        code = 200 if hosts[event.server_uuid] else 422
    return given | {"status": "completed" if code == 200 else "failed", "code": code}
