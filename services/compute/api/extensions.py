"""`extensions`: a list from the time before microversions.  It names what works here, and nothing else."""

from __future__ import annotations

from fastapi import Response

from common.errors import NotFound
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api.asking import router
from services.compute.api.kit import KitOf

routes = router()

# fmt: off
NAMED = {  # alias -> name, what it adds
    "os-availability-zone":           ("AvailabilityZone", "Availability zones, and where a server is."),
    "OS-DCF":                         ("DiskConfig", "How a server's disk is partitioned."),
    "OS-EXT-AZ":                      ("ExtendedAvailabilityZone", "The zone of a server."),
    "OS-EXT-SRV-ATTR":                ("ExtendedServerAttributes", "Host and hypervisor of a server, for administrators."),
    "OS-EXT-STS":                     ("ExtendedStatus", "Task, state and power of a server."),
    "OS-SRV-USG":                     ("ServerUsage", "When a server was launched and terminated."),
    "os-config-drive":                ("ConfigDrive", "Metadata on a drive of the server's."),
    "os-console-output":              ("ConsoleOutput", "What a server wrote to its serial console."),
    "os-flavor-access":               ("FlavorAccess", "Flavors for some projects only."),
    "os-flavor-extra-specs":          ("FlavorExtraSpecs", "What a flavor asks of a host."),
    "os-flavor-manage":               ("FlavorManage", "Making and deleting flavors."),
    "os-hypervisors":                 ("Hypervisors", "Hosts and what they have."),
    "os-instance-actions":            ("ServerActions", "The timeline of a server."),
    "os-keypairs":                    ("Keypairs", "Public keys of users."),
    "os-multiple-create":             ("MultipleCreate", "Several servers by one request."),
    "os-quota-sets":                  ("Quotas", "What a project may have."),
    "OS-SCH-HNT":                     ("SchedulerHints", "Hints about the host of a server."),
    "os-server-start-stop":           ("ServerStartStop", "Power on and off."),
    "os-services":                    ("Services", "Processes of the compute service."),
    "os-used-limits":                 ("UsedLimits", "How much of a quota is used."),
    "os-user-data":                   ("UserData", "Data that a server finds when it boots."),
}
# fmt: on


@routes.get("/extensions")
@operation("os_compute_api:extensions")
def list_extensions(caller: Caller, kit: KitOf) -> Response:
    kit.must("extensions", caller)
    return Json({"extensions": [_shown(alias) for alias in NAMED]})


@routes.get("/extensions/{alias}")
@operation("os_compute_api:extensions")
def show_extension(alias: str, caller: Caller, kit: KitOf) -> Response:
    kit.must("extensions", caller)
    if alias not in NAMED:
        raise NotFound("The resource could not be found.")
    return Json({"extension": _shown(alias)})


def _shown(alias: str) -> dict[str, object]:
    name, description = NAMED[alias]
    return {
        "alias": alias,
        "name": name,
        "description": description,
        "links": [],
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "updated": "2014-12-03T00:00:00Z",
    }
