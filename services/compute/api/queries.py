"""Which query parameters each path knows, and from which version on others are refused (2.75 for most lists, 2.102 for all)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.datastructures import QueryParams

from common.errors import InvalidInput

EVERYWHERE = 102  # since then no path takes what it does not know
LIMIT = re.compile(r"[0-9]*")
LONGEST_LIMIT = 18


@dataclass(frozen=True, slots=True)
class Known:
    """Parameter -> version since which it exists."""

    names: Mapping[str, int] = field(default_factory=dict)
    strict_since: int = EVERYWHERE
    has_patterns: bool = False  # Nova's schema for servers leaves "^_" to others, and says so when it refuses the rest


def _since(version: int, *names: str) -> dict[str, int]:
    return dict.fromkeys(names, version)


PAGING = _since(1, "limit", "marker")
JOINED = (
    "block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups", "pci_devices",
)  # fmt: skip
SERVERS = Known(
    PAGING
    | _since(
        1,
        "user_id", "project_id", "tenant_id", "launch_index", "image_ref", "image", "kernel_id", "ramdisk_id", "hostname",
        "key_name", "power_state", "vm_state", "task_state", "host", "node", "flavor", "reservation_id", "launched_at",
        "terminated_at", "availability_zone", "name", "display_name", "description", "display_description", "locked_by",
        "uuid", "root_device_name", "config_drive", "access_ip_v4", "access_ip_v6", "auto_disk_config", "progress",
        "sort_key", "sort_dir", "all_tenants", "soft_deleted", "deleted", "status", "changes-since", "ip", "ip6",
        "created_at", *JOINED,
    )
    | _since(26, "tags", "tags-any", "not-tags", "not-tags-any")
    | _since(66, "changes-before")
    | _since(73, "locked"),
    75,
    has_patterns=True,
)  # fmt: skip
FLAVORS = Known(PAGING | _since(1, "is_public", "minRam", "minDisk", "sort_key", "sort_dir") | _since(102, "name"), 75)

# fmt: off
KNOWN: dict[str, Known] = {  # path of a route below /v2.1 -> what it takes
    "/servers":                               SERVERS,
    "/servers/detail":                        SERVERS,
    "POST /servers":                          Known(_since(1, "dry_run")),
    "/servers/{server_id}/os-instance-actions":
        Known(_since(58, "limit", "marker", "changes-since") | _since(66, "changes-before"), 58),
    "/servers/{server_id}/os-volume_attachments": Known(_since(1, "limit", "offset"), 75),
    "/flavors":                               FLAVORS,
    "/flavors/detail":                        FLAVORS,
    "/images":                                Known(PAGING),
    "/images/detail":                         Known(PAGING),
    "/os-keypairs":                           Known(_since(10, "user_id") | _since(35, "limit", "marker"), 75),
    "/os-keypairs/{name}":                    Known(_since(10, "user_id"), 75),
    "/os-services":                           Known(_since(1, "host", "binary"), 75),
    "/os-hypervisors":
        Known(_since(33, "limit", "marker") | _since(53, "hypervisor_hostname_pattern", "with_servers"), 53),
    "/os-hypervisors/detail":
        Known(_since(33, "limit", "marker") | _since(53, "hypervisor_hostname_pattern", "with_servers"), 53),
    "/os-hypervisors/{hypervisor_id}":        Known(_since(53, "with_servers"), 53),
    "/os-migrations":
        Known(_since(1, "hidden", "host", "instance_uuid", "source_compute", "status", "migration_type")
              | _since(59, "limit", "marker", "changes-since") | _since(66, "changes-before")
              | _since(80, "user_id", "project_id"), 59),
    "/os-console-auth-tokens/{console_token}": Known(strict_since=99),
    "/limits":                                Known(_since(1, "reserved", "tenant_id"), 75),
    "/os-hosts":                               Known(_since(1, "zone")),
    "/os-server-groups":                       Known(_since(1, "all_projects", "limit", "offset"), 75),
    "/os-simple-tenant-usage":
        Known(_since(1, "start", "end", "detailed") | _since(40, "limit", "marker"), 75),
    "/os-simple-tenant-usage/{project_id}":
        Known(_since(1, "start", "end") | _since(40, "limit", "marker"), 75),
    "/os-quota-sets/{project_id}":            Known(_since(1, "user_id"), 75),
    "/os-quota-sets/{project_id}/detail":     Known(_since(1, "user_id"), 75),
}
# fmt: on
_NOTHING = Known()


def must_be_known(path: str, query: QueryParams, version: int, *, method: str = "GET") -> None:
    """InvalidInput with Nova's sentence for a parameter that this version refuses."""
    if not query:
        return
    plain = path.removeprefix("/v2.1")
    known = KNOWN.get(f"{method} {plain}") or KNOWN.get(plain, _NOTHING)
    if version >= known.strict_since:
        for name in query:
            if known.names.get(name, version + 1) > version and not (known.has_patterns and name.startswith("_")):
                _refuse(name, known)
    if "limit" in known.names:
        for value in query.getlist("limit"):
            if LIMIT.fullmatch(value) is None or len(value) > LONGEST_LIMIT:
                raise InvalidInput(
                    f"Invalid input for query parameters limit. Value: {value[:64]}. '{value[:64]}' does not match '^[0-9]*$'"
                )


def _refuse(name: str, known: Known) -> None:
    shown = name[:64]
    if known.has_patterns:
        raise InvalidInput(f"'{shown}' does not match any of the regexes: '^_'")
    raise InvalidInput(f"Additional properties are not allowed ('{shown}' was unexpected)")


def limit_of(query: QueryParams, most: int) -> int:
    """How many rows: what was asked for, but never more than `most`."""
    return min(int(given), most) if (given := query.get("limit")) else most


def whole_of(query: QueryParams, name: str) -> int:
    """A number that is not negative; 0 if it is not given.  InvalidInput"""
    given = query.get(name, "0")
    if not (given.isascii() and given.isdigit() and len(given) <= LONGEST_LIMIT):
        shown = given[:64]
        raise InvalidInput(
            f"Invalid input for query parameters {name}. Value: {shown}. '{shown}' does not match '^[0-9]*$'"
        )
    return int(given)


def time_of(query: QueryParams, name: str) -> datetime | None:
    """A moment; one without a zone is UTC.  InvalidInput"""
    if (given := query.get(name)) is None:
        return None
    if (found := moment(given)) is None:
        shown = given[:64]
        raise InvalidInput(f"Invalid input for query parameters {name}. Value: {shown}. '{shown}' is not a 'date-time'")
    return found


def moment(text: str) -> datetime | None:
    """ISO 8601; one without a zone is UTC.  None for what is no time."""
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


TRUE, FALSE = ("1", "t", "true", "on", "y", "yes"), ("0", "f", "false", "off", "n", "no")


def truth_of(given: str, name: str) -> bool:
    """InvalidInput unless it is one of the words for true and false."""
    word = given.strip().lower()
    if word not in TRUE + FALSE:
        raise InvalidInput(
            f"Invalid input for query parameters {name}. Value: {given[:64]}. Unrecognized value '{given[:64]}'"
        )
    return word in TRUE
