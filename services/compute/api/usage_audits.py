"""Whether each host told the usage of a period: an old log that nobody writes here, as in a Nova that is not asked to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import Response

from common.clock import utc_now
from common.errors import InvalidInput
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import router
from services.compute.api.kit import KitOf

routes = router()
PATH = "/os-instance_usage_audit_log"
FORMS = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")
RULES = {
    "os_compute_api:os-instance-usage-audit-log:list": "rule:admin",
    "os_compute_api:os-instance-usage-audit-log:show": "rule:admin",
}


@routes.get(PATH)
@operation("os_compute_api:os-instance-usage-audit-log:list")
def list_audits(caller: Caller, kit: KitOf) -> Response:
    """Of the last month that is over."""
    kit.must("os-instance-usage-audit-log:list", caller)
    with kit.reading() as tx:
        hosts = [one.host for one in tx.services.listed(binary="nova-compute")]
    return Json({"instance_usage_audit_logs": _log(hosts, utc_now())})


@routes.get(PATH + "/{before}")
@operation("os_compute_api:os-instance-usage-audit-log:show")
def show_audit(before: str, caller: Caller, kit: KitOf) -> Response:
    """Of the last month that was over at that time."""
    kit.must("os-instance-usage-audit-log:show", caller)
    at = _moment(before)
    with kit.reading() as tx:
        hosts = [one.host for one in tx.services.listed(binary="nova-compute")]
    return Json({"instance_usage_audit_log": _log(hosts, at)})


def _moment(text: str) -> datetime:
    for form in FORMS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise InvalidInput(f"Invalid timestamp for date {text[:64]}")


def _log(hosts: list[str], at: datetime) -> dict[str, Any]:
    end = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    begin = end.replace(year=max(end.year - (end.month == 1), 1), month=end.month - 1 or 12)
    return {
        "hosts_not_run": hosts,
        "log": {},
        "num_hosts": len(hosts),
        "num_hosts_done": 0,
        "num_hosts_not_run": len(hosts),
        "num_hosts_running": 0,
        "overall_status": f"0 of {len(hosts)} hosts done. 0 errors.",
        "period_beginning": begin.strftime(FORMS[1]),
        "period_ending": end.strftime(FORMS[1]),
        "total_errors": 0,
        "total_instances": 0,
    }
