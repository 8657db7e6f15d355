"""What projects used over time: `os-simple-tenant-usage`.  Pages, of servers, came with 2.40."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import QueryParams

from common.clock import utc_now
from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api import links
from services.compute.api.asking import Version, router
from services.compute.api.kit import Kit, KitOf
from services.compute.api.queries import limit_of
from services.compute.api.server_views import microseconds
from services.compute.core.usage import Period, ServerUsage, usage_of

routes = router()

PAGED = 40
MOMENT = timedelta(microseconds=1)
FORMS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f")


@routes.get("/os-simple-tenant-usage")
@operation("os_compute_api:os-simple-tenant-usage:list")
def list_usages(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Of every project that had servers; with each server if `detailed=1`."""
    kit.must("os-simple-tenant-usage:list", caller)
    period, now = _period(request.query_params), utc_now()
    servers = _page(request, kit, version, period, now, project_id=None)
    projects: dict[str, list[ServerUsage]] = {}
    for server in servers:
        projects.setdefault(server.project_id, []).append(server)
    is_detailed = request.query_params.get("detailed", "").lower() in ("1", "true")  # the SDK writes "True"
    shown = [_project(one, of_it, period, detailed=is_detailed) for one, of_it in projects.items()]
    return Json(links.paged("tenant_usages", shown, _next(request, kit, version, servers, "os-simple-tenant-usage")))


@routes.get("/os-simple-tenant-usage/{project_id}")
@operation("os_compute_api:os-simple-tenant-usage:show")
def show_usage(project_id: str, request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Always with each server.  Of a project that had none all is zero: Nova says nothing then, and `openstack` fails at it."""
    kit.must("os-simple-tenant-usage:show", caller, {"project_id": project_id})
    period, now = _period(request.query_params), utc_now()
    servers = _page(request, kit, version, period, now, project_id=project_id)
    shown = _project(project_id, servers, period, detailed=True)
    path = f"os-simple-tenant-usage/{project_id}"
    more = _next(request, kit, version, servers, path)
    return Json({"tenant_usage": shown} | ({"tenant_usage_links": more} if more else {}))


def _period(query: QueryParams) -> Period:
    """Until now at most; this very moment if nothing is asked, as by Nova.  InvalidInput"""
    now = utc_now()
    start, end = _moment(query.get("start"), now), _moment(query.get("end"), now + MOMENT)
    if start >= end:
        raise InvalidInput("Invalid start time. The start time cannot occur after the end time.")
    return Period(start, min(end, now))


def _moment(given: str | None, now: datetime) -> datetime:
    if not given:
        return now
    for form in FORMS:
        try:
            return datetime.strptime(given, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise InvalidInput("Invalid datetime string: Datetime is in invalid format")


def _page(
    request: Request, kit: Kit, version: int, period: Period, now: datetime, *, project_id: str | None
) -> list[ServerUsage]:
    limit, marker = kit.settings.list_limit, None
    if version >= PAGED:
        limit, marker = limit_of(request.query_params, limit), request.query_params.get("marker")
    with kit.reading() as tx:
        rows = tx.usage.page(period.start, period.end, project_id=project_id, marker=marker, limit=limit)
    return [usage_of(row, period, now) for row in rows]


def _next(
    request: Request, kit: Kit, version: int, servers: Sequence[ServerUsage], path: str
) -> list[dict[str, str]] | None:
    is_full = len(servers) == limit_of(request.query_params, kit.settings.list_limit)
    if version < PAGED or not servers or not is_full:
        return None
    return links.next_page(kit.url, f"/{path}", request.query_params, servers[-1].id)


def _project(project_id: str, servers: Sequence[ServerUsage], period: Period, *, detailed: bool) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "tenant_id": project_id,
        "total_local_gb_usage": sum(one.disk_gib * one.hours for one in servers),
        "total_vcpus_usage": sum(one.vcpus * one.hours for one in servers),
        "total_memory_mb_usage": sum(one.memory_mib * one.hours for one in servers),
        "total_hours": sum(one.hours for one in servers),
        "start": microseconds(period.start),
        "stop": microseconds(period.end),
    }
    return whole | ({"server_usages": [_server(one) for one in servers]} if detailed else {})


def _server(one: ServerUsage) -> dict[str, Any]:
    return {
        "instance_id": one.id,
        "tenant_id": one.project_id,
        "name": one.name,
        "state": one.state,
        "flavor": one.flavor,
        "vcpus": one.vcpus,
        "memory_mb": one.memory_mib,
        "local_gb": one.disk_gib,
        "started_at": microseconds(one.launched_at),
        "ended_at": microseconds(one.terminated_at),
        "hours": one.hours,
        "uptime": one.uptime_s,
    }
