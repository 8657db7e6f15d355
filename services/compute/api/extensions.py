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
    "os-aggregates":                  ("Aggregates", "Sets of hosts."),
    "os-admin-actions":               ("AdminActions", "States set by hand."),
    "os-admin-password":              ("AdminPassword", "A new password for a server."),
    "os-assisted-volume-snapshots":   ("AssistedVolumeSnapshots", "Snapshots of volumes that a guest helps with."),
    "os-baremetal-nodes":             ("BareMetalNodes", "Machines without a hypervisor."),
    "os-create-backup":               ("CreateBackup", "Images of a server that take turns."),
    "OS-DCF":                         ("DiskConfig", "How a server's disk is partitioned."),
    "OS-EXT-AZ":                      ("ExtendedAvailabilityZone", "The zone of a server."),
    "OS-EXT-SRV-ATTR":                ("ExtendedServerAttributes", "Host and hypervisor of a server, for administrators."),
    "OS-EXT-STS":                     ("ExtendedStatus", "Task, state and power of a server."),
    "OS-SRV-USG":                     ("ServerUsage", "When a server was launched and terminated."),
    "os-attach-interfaces":           ("AttachInterfaces", "Ports of a server."),
    "os-block-device-mapping":        ("BlockDeviceMapping", "Disks of a new server."),
    "os-config-drive":                ("ConfigDrive", "Metadata on a drive of the server's."),
    "os-consoles":                    ("Consoles", "Ways to a server's screen and keyboard."),
    "os-console-output":              ("ConsoleOutput", "What a server wrote to its serial console."),
    "os-deferred-delete":             ("DeferredDelete", "Deleted servers that can come back."),
    "os-evacuate":                    ("Evacuate", "Servers of a host that is down."),
    "os-flavor-access":               ("FlavorAccess", "Flavors for some projects only."),
    "os-flavor-extra-specs":          ("FlavorExtraSpecs", "What a flavor asks of a host."),
    "os-flavor-manage":               ("FlavorManage", "Making and deleting flavors."),
    "os-floating-ip-pools":           ("FloatingIpPools", "Where floating IPs come from."),
    "os-floating-ips":                ("FloatingIps", "Addresses that move between servers."),
    "os-hosts":                       ("Hosts", "Hosts and their power."),
    "os-hypervisors":                 ("Hypervisors", "Hosts and what they have."),
    "os-instance-actions":            ("ServerActions", "The timeline of a server."),
    "os-instance-usage-audit-log":    ("OSInstanceUsageAuditLog", "Which hosts told their usage."),
    "image-metadata":                 ("ImageMetadata", "Properties of images."),
    "image-size":                     ("ImageSize", "How large an image is."),
    "images":                         ("Images", "Images, as they were shown here."),
    "os-keypairs":                    ("Keypairs", "Public keys of users."),
    "limits":                         ("Limits", "What a project may have, and has."),
    "os-lock-server":                 ("LockServer", "Servers that take no actions."),
    "os-migrate-server":              ("MigrateServer", "Moves to another host."),
    "os-migrations":                  ("Migrations", "What became of moves and resizes."),
    "os-multinic":                    ("Multinic", "Fixed IPs of a server."),
    "os-multiple-create":             ("MultipleCreate", "Several servers by one request."),
    "os-networks":                    ("Networks", "Networks, for administrators."),
    "os-pause-server":                ("PauseServer", "Servers that stand still in memory."),
    "os-quota-class-sets":            ("QuotaClasses", "Limits by a name of their own."),
    "os-quota-sets":                  ("Quotas", "What a project may have."),
    "os-rescue":                      ("Rescue", "Another disk to start from."),
    "OS-SCH-HNT":                     ("SchedulerHints", "Hints about the host of a server."),
    "os-security-groups":             ("SecurityGroups", "Rules for what reaches a server."),
    "os-server-diagnostics":          ("ServerDiagnostics", "How a server does."),
    "os-server-external-events":      ("ServerExternalEvents", "What other services tell of servers."),
    "os-server-groups":               ("ServerGroups", "Servers that should share a host, or not."),
    "os-server-password":             ("ServerPassword", "The password that a server sealed."),
    "os-server-start-stop":           ("ServerStartStop", "Power on and off."),
    "os-services":                    ("Services", "Processes of the compute service."),
    "os-shelve":                      ("Shelve", "Servers that are put away."),
    "os-simple-tenant-usage":         ("SimpleTenantUsage", "What projects used."),
    "os-suspend-server":              ("SuspendServer", "Servers whose memory is on disk."),
    "os-tenant-networks":             ("OSTenantNetworks", "Networks of a project."),
    "os-used-limits":                 ("UsedLimits", "How much of a quota is used."),
    "os-user-data":                   ("UserData", "Data that a server finds when it boots."),
    "os-volumes":                     ("Volumes", "Volumes and their attachments."),
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
