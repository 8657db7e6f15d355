"""What a list of servers is asked for: filters, order, and who may ask for what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams

from common.auth.callers import Caller
from common.db.paging import Sort
from common.errors import Forbidden, InvalidInput
from services.compute.api.kit import Kit
from services.compute.api.queries import JOINED, moment, time_of, truth_of
from services.compute.core.patterns import pattern_of
from services.compute.core.states import matches
from services.compute.db.server_lists import AT, LIKE, NEWEST_FIRST, SAME, SORTED, Tagged, Wanted
from services.compute.db.servers import as_uuid
from services.compute.db.tables import ServerRow

# fmt: off
ALIASES = {"display_name": "name", "display_description": "description", "image_ref": "image"}
EVERYBODYS = {  # filters that are not only for admins -> since
    "reservation_id": 1, "name": 1, "display_name": 1, "status": 1, "image": 1, "image_ref": 1, "flavor": 1, "ip": 1,
    "changes-since": 1, "all_tenants": 1, "ip6": 5, "tags": 26, "tags-any": 26, "not-tags": 26, "not-tags-any": 26,
    "changes-before": 66, "locked": 73, "availability_zone": 83, "config_drive": 83, "key_name": 83, "created_at": 83,
    "launched_at": 83, "terminated_at": 83, "power_state": 83, "task_state": 83, "vm_state": 83, "progress": 83,
    "user_id": 83,
}
IGNORED_SORTS = (  # once taken, never of use; refused from 2.75
    "architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted", "deleted_at",
    "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on", "locked", "memory_mb",
    "os_type", "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus", "vm_mode",
)
# fmt: on
ADMIN_SORTS = ("host", "node")


@dataclass(frozen=True, slots=True)
class Filters:
    wanted: Wanted
    sorts: tuple[Sort, ...]


def filters_of(query: QueryParams, caller: Caller, kit: Kit, version: int, *, whole: bool) -> Filters:
    """InvalidInput, Forbidden"""
    given = _allowed(query, caller, kit, version)
    for name in given:
        if name in JOINED or name.startswith("_"):
            raise InvalidInput(f"Invalid filter field: {name[:64]}.")
    return Filters(_wanted(query, given, caller, kit, version, whole=whole), _sorts(query, caller, version))


def _allowed(query: QueryParams, caller: Caller, kit: Kit, version: int) -> dict[str, str]:
    """What the caller may filter by, the last of each; the rest is passed over, as Nova does."""
    everything = kit.allows("servers:allow_all_filters", caller)
    return {
        ALIASES.get(name, name): value
        for name, value in query.multi_items()
        if everything or EVERYBODYS.get(name, version + 1) <= version
    }


def _wanted(
    query: QueryParams, given: dict[str, str], caller: Caller, kit: Kit, version: int, *, whole: bool
) -> Wanted:
    statuses = query.getlist("status") if "status" in given else None
    found = matches(statuses) if statuses is not None else None
    if found == [] and version >= 38:
        raise InvalidInput("Invalid status value")
    since, before = time_of(query, "changes-since"), time_of(query, "changes-before") if version >= 66 else None
    if since is not None and before is not None and before < since:
        raise InvalidInput("The value of changes-since must be less than or equal to changes-before.")
    return Wanted(
        project_id=_project(given, caller, kit, whole=whole),
        deleted=_deleted(given, statuses, caller, touched=since is not None or before is not None),
        statuses=found,
        like={name: pattern_of(given[name], name) for name in LIKE if name in given},
        same={name: _value(name, given[name]) for name in SAME if name in given},
        flavor=given.get("flavor"),
        tags=_tagged(given),
        changed_since=since,
        changed_before=before,
        at={name: at for name in AT if name in given and (at := moment(given[name])) is not None},
        nothing=_excludes_all(given),
    )


def _excludes_all(given: dict[str, str]) -> bool:
    """No server has an address yet, was made at what is no time, or shows a progress but none."""
    return (
        any(given.get(name) for name in ("ip", "ip6"))
        or any(name in given and moment(given[name]) is None for name in AT)
        or given.get("progress", "0") != "0"
    )


def _project(given: dict[str, str], caller: Caller, kit: Kit, *, whole: bool) -> str | None:
    """Whose servers: everybody's only for who may, and asks."""
    if not _all_projects(given):
        return caller.project_id or ""
    kit.must(f"servers:{'detail' if whole else 'index'}:get_all_tenants", caller)
    return given.get("project_id") or given.get("tenant_id")


def _all_projects(given: dict[str, str]) -> bool:
    value = given.get("all_tenants")
    return value is not None and (value == "" or truth_of(value, "all_tenants"))


def _deleted(given: dict[str, str], statuses: list[str] | None, caller: Caller, *, touched: bool) -> bool | None:
    if statuses is not None and {one.upper() for one in statuses} == {"DELETED"}:
        if not caller.is_admin:
            raise Forbidden("Only administrators may list deleted instances")
        return True
    if "deleted" in given:
        return given["deleted"].strip().lower() in ("1", "t", "true", "on", "y", "yes")
    return None if touched else False


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


READERS: dict[str, Callable[[str], Any]] = {
    "image": lambda text: as_uuid(text.rsplit("/", 1)[-1]),
    "uuid": lambda text: [found for one in text.split(",") if (found := as_uuid(one)) is not None],
    "power_state": _number,
    "launch_index": _number,
    "locked": lambda text: truth_of(text, "locked"),
    "config_drive": lambda text: text.strip().lower() in ("true", "1"),
}


def _value(name: str, text: str) -> Any:
    return READERS.get(name, str)(text)


def _tagged(given: dict[str, str]) -> Tagged:
    every, some, not_every, none = (
        given[name].split(",") if given.get(name) else [] for name in ("tags", "tags-any", "not-tags", "not-tags-any")
    )
    return Tagged(every=every, some=some, not_every=not_every, none=none)


def _sorts(query: QueryParams, caller: Caller, version: int) -> tuple[Sort, ...]:
    keys, ways = query.getlist("sort_key"), query.getlist("sort_dir")
    for key in keys:
        _must_be_sortable(key, caller, version)
    for way in ways:
        if way not in ("asc", "desc"):
            raise InvalidInput("Unknown sort direction, must be 'desc' or 'asc'")
    if len(ways) > max(len(keys), 1):
        raise InvalidInput("Sort direction array size exceeds sort key array size.")
    default = ways[0] if ways else "desc"
    sorts: list[Sort] = []
    for index, key in enumerate(keys):
        column = SORTED.get(key) if key not in IGNORED_SORTS or (key == "locked" and version >= 73) else None
        if column is not None:
            sorts.append((column, (ways[index] if index < len(ways) else default) == "desc"))
    if not sorts and default == "desc":
        return NEWEST_FIRST
    return (*sorts, (ServerRow.created_at, default == "desc"), (ServerRow.id, default == "desc"))


def _must_be_sortable(key: str, caller: Caller, version: int) -> None:
    allowed = [*sorted(set(SORTED) - {"locked"}), *(("locked",) if version >= 73 else ())]
    if version < 75:
        allowed += [one for one in IGNORED_SORTS if one not in allowed]
    if key not in allowed:
        raise InvalidInput(
            f"Invalid input for query parameters sort_key. Value: {key[:64]}. '{key[:64]}' is not one of {allowed}"
        )
    if key in ADMIN_SORTS and not caller.is_admin:
        raise Forbidden("Only administrators can sort servers by host and node")
