"""How answers look at older microversions.  Routes write the newest shape; what follows takes it back, newest change first.

Source: Compute API guide, "Microversion history".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

Body = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Shape:
    """One noun's body: keys that came, keys that went, and other changes."""

    since: Mapping[str, int] = field(default_factory=dict)
    until: Mapping[str, int] = field(default_factory=dict)
    changes: tuple[tuple[int, Callable[[Body], None]], ...] = ()  # below this version, this is done to the body

    def at(self, version: int, body: Body) -> Body:
        """The body as it was at `version`; changed in place."""
        dropped, changes = _taken_back(self, version)
        for key in dropped:
            body.pop(key, None)
        for change in changes:
            change(body)
        return body


@lru_cache(maxsize=512)
def _taken_back(shape: Shape, version: int) -> tuple[tuple[str, ...], tuple[Callable[[Body], None], ...]]:
    late = [key for key, since in shape.since.items() if version < since]
    gone = [key for key, until in shape.until.items() if version > until]
    return (*late, *gone), tuple(change for below, change in shape.changes if version < below)


# ---------------------------------------------------------------- servers


def _image_without_properties(server: Body) -> None:
    if server["image"]:
        server["image"].pop("properties", None)


SERVER = Shape(
    since={
        "OS-EXT-SRV-ATTR:hostname": 3,
        "OS-EXT-SRV-ATTR:kernel_id": 3,
        "OS-EXT-SRV-ATTR:launch_index": 3,
        "OS-EXT-SRV-ATTR:ramdisk_id": 3,
        "OS-EXT-SRV-ATTR:reservation_id": 3,
        "OS-EXT-SRV-ATTR:root_device_name": 3,
        "OS-EXT-SRV-ATTR:user_data": 3,
        "locked": 9,
        "host_status": 16,
        "description": 19,
        "tags": 26,
        "trusted_image_certificates": 63,
        "server_groups": 71,
        "locked_reason": 73,
        "pinned_availability_zone": 96,
        "scheduler_hints": 100,
    },
    changes=((98, _image_without_properties),),
)

BEFORE_2_75 = (
    # what the answer to an update lacked: it was made complete in 2.75
    "OS-EXT-AZ:availability_zone", "config_drive", "key_name", "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at",
    "OS-EXT-STS:task_state", "OS-EXT-STS:vm_state", "OS-EXT-STS:power_state", "os-extended-volumes:volumes_attached",
    "OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:instance_name", "OS-EXT-SRV-ATTR:hypervisor_hostname",
    "OS-EXT-SRV-ATTR:hostname", "OS-EXT-SRV-ATTR:kernel_id", "OS-EXT-SRV-ATTR:launch_index",
    "OS-EXT-SRV-ATTR:ramdisk_id", "OS-EXT-SRV-ATTR:reservation_id", "OS-EXT-SRV-ATTR:root_device_name",
    "OS-EXT-SRV-ATTR:user_data", "host_status", "security_groups",
)  # fmt: skip
UPDATED_SERVER = Shape(since=dict.fromkeys(BEFORE_2_75, 75))
REBUILT_SERVER = Shape(
    since=dict.fromkeys(BEFORE_2_75, 75) | {"key_name": 54, "user_data": 57},
    until={"OS-EXT-SRV-ATTR:user_data": 0},  # it has `user_data` alone
)

# ---------------------------------------------------------------- flavors


def _no_swap_is_empty(flavor: Body) -> None:
    flavor["swap"] = flavor["swap"] or ""


FLAVOR = Shape(
    since={"description": 55, "extra_specs": 61},
    until={"rxtx_factor": 101, "OS-FLV-DISABLED:disabled": 101},
    changes=((75, _no_swap_is_empty),),
)
FLAVOR_NAMED = Shape(since={"description": 55})

# ---------------------------------------------------------------- the rest


def _number_for_id(body: Body) -> None:
    """Services and hypervisors had numbers before 2.53."""
    body["id"] = body.pop("number")


def _cpu_info_as_text(hypervisor: Body) -> None:
    if "cpu_info" in hypervisor:
        hypervisor["cpu_info"] = orjson.dumps(hypervisor["cpu_info"]).decode()


def _service_by_number(hypervisor: Body) -> None:
    if "service" in hypervisor:
        hypervisor["service"]["id"] = hypervisor.pop("service number")


def _policy_in_a_list(group: Body) -> None:
    """Until 2.63 a server group had a list of policies, and metadata, always empty."""
    group["policies"], group["metadata"] = [group.pop("policy")], {}
    group.pop("rules")


SERVER_GROUP = Shape(since={"project_id": 13, "user_id": 13}, changes=((64, _policy_in_a_list),))
MIGRATION = Shape(since={"migration_type": 23, "uuid": 59, "project_id": 80, "user_id": 80})
AGGREGATE = Shape(since={"uuid": 41})
KEYPAIR = Shape(since={"type": 2})
SERVICE = Shape(since={"forced_down": 11}, changes=((53, _number_for_id),))
COUNTS = (
    "current_workload", "cpu_info", "vcpus", "vcpus_used", "free_disk_gb", "local_gb", "local_gb_used",
    "disk_available_least", "free_ram_mb", "memory_mb", "memory_mb_used", "running_vms",
)  # fmt: skip
HYPERVISOR = Shape(
    since={"uptime": 88},
    until=dict.fromkeys(COUNTS, 87),
    changes=((53, _service_by_number), (53, _number_for_id), (28, _cpu_info_as_text)),
)
INSTANCE_ACTION = Shape(since={"updated_at": 58})
INSTANCE_ACTION_EVENT = Shape(since={"host": 62, "hostId": 62, "details": 84})
NETWORKS = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")
FILES = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")
QUOTA_SET = Shape(until=dict.fromkeys(NETWORKS, 35) | dict.fromkeys(FILES, 56))
QUOTA_CLASS_SET = Shape(
    since={"server_groups": 50, "server_group_members": 50},
    until=dict.fromkeys(NETWORKS, 49) | dict.fromkeys(FILES, 56),
)
LIMITS = Shape(
    until=dict.fromkeys(
        (
            "maxTotalFloatingIps", "maxSecurityGroups", "maxSecurityGroupRules", "totalFloatingIpsUsed",
            "totalSecurityGroupsUsed",
        ),
        35,
    )
    | {"maxImageMeta": 38, "maxPersonality": 56, "maxPersonalitySize": 56}
)  # fmt: skip
