"""Pages of servers: filtered, sorted, by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Text, and_, cast, false, func, not_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.db.paging import Sort, after, in_order
from common.errors import InvalidInput
from services.compute.core.patterns import ESCAPE, Pattern
from services.compute.core.states import StatusMatch, VmState
from services.compute.db.servers import Server, as_uuid
from services.compute.db.tables import ServerRow

# fmt: off
SORTED: dict[str, InstrumentedAttribute[Any] | None] = {  # sort key -> column; None: the same for all servers
    "access_ip_v4": ServerRow.access_ipv4,   "access_ip_v6": ServerRow.access_ipv6,
    "auto_disk_config": ServerRow.disk_config, "availability_zone": ServerRow.zone,
    "config_drive": ServerRow.has_config_drive, "created_at": ServerRow.created_at,
    "display_description": ServerRow.description, "display_name": ServerRow.name,
    "host": ServerRow.host,                  "hostname": ServerRow.hostname,
    "image_ref": ServerRow.image_id,         "instance_type_id": None,
    "kernel_id": None,                       "key_name": ServerRow.key_name,
    "launch_index": ServerRow.launch_index,  "launched_at": ServerRow.launched_at,
    "locked": ServerRow.is_locked,           "locked_by": None,
    "node": ServerRow.host,                  "power_state": ServerRow.power_state,
    "progress": None,                        "project_id": ServerRow.project_id,
    "ramdisk_id": None,                      "root_device_name": None,
    "task_state": ServerRow.task_state,      "terminated_at": ServerRow.terminated_at,
    "updated_at": ServerRow.updated_at,      "user_id": ServerRow.user_id,
    "uuid": ServerRow.id,                    "vm_state": ServerRow.vm_state,
}
LIKE: dict[str, InstrumentedAttribute[Any]] = {  # filter -> column that its pattern is looked for in
    "name": ServerRow.name,           "description": ServerRow.description,   "hostname": ServerRow.hostname,
    "key_name": ServerRow.key_name,   "availability_zone": ServerRow.zone,    "reservation_id": ServerRow.reservation_id,
    "access_ip_v4": ServerRow.access_ipv4, "access_ip_v6": ServerRow.access_ipv6, "node": ServerRow.host,
}
SAME: dict[str, InstrumentedAttribute[Any]] = {  # filter -> column that equals it
    "user_id": ServerRow.user_id,     "host": ServerRow.host,       "task_state": ServerRow.task_state,
    "vm_state": ServerRow.vm_state,   "image": ServerRow.image_id,  "uuid": ServerRow.id,
    "power_state": ServerRow.power_state, "launch_index": ServerRow.launch_index,
    "locked": ServerRow.is_locked,    "config_drive": ServerRow.has_config_drive,
}
AT: dict[str, InstrumentedAttribute[Any]] = {  # filter -> column of the time
    "created_at": ServerRow.created_at, "launched_at": ServerRow.launched_at, "terminated_at": ServerRow.terminated_at,
}
# fmt: on
NAMED: tuple[InstrumentedAttribute[Any], ...] = (ServerRow.id, ServerRow.name)
NEWEST_FIRST: tuple[Sort, ...] = ((ServerRow.created_at, True), (ServerRow.id, True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """Which tags servers have: all of, any of, not all of, none of."""

    every: Sequence[str] = ()
    some: Sequence[str] = ()
    not_every: Sequence[str] = ()
    none: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which servers.  `project_id` None: everybody's."""

    project_id: str | None
    deleted: bool | None = False  # None: both
    statuses: Sequence[StatusMatch] | None = None
    like: Mapping[str, Pattern] = field(default_factory=dict)  # key of LIKE -> pattern
    same: Mapping[str, Any] = field(default_factory=dict)  # key of SAME -> value
    at: Mapping[str, datetime] = field(
        default_factory=dict
    )  # key of AT -> the time, to the second unless it has a fraction
    flavor: str | None = None
    tags: Tagged = field(default_factory=Tagged)
    changed_since: datetime | None = None
    changed_before: datetime | None = None
    nothing: bool = False  # a filter that no server can pass


class ServerLists:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def page(
        self,
        wanted: Wanted,
        columns: Sequence[InstrumentedAttribute[Any]],
        *,
        sorts: Sequence[Sort] = NEWEST_FIRST,
        marker: str | None = None,
        limit: int,
    ) -> Sequence[Server]:
        """At most `limit` of them, beginning after `marker`.  InvalidInput if that is none of the caller's."""
        query = select(*columns).where(*conditions(wanted))
        if marker is not None:
            query = query.where(*self._beyond(sorts, marker, wanted.project_id))
        if limit == 0 or wanted.nothing:
            return []
        return self._session.execute(in_order(query, sorts).limit(limit)).all()

    def _beyond(self, sorts: Sequence[Sort], marker: str, project_id: str | None) -> list[ColumnElement[bool]]:
        if (marker_id := as_uuid(marker)) is None:
            raise InvalidInput(f"marker [{marker}] not found")
        columns = [column for column, _ in sorts]
        query = select(*columns).where(ServerRow.id == marker_id)
        if project_id is not None:
            query = query.where(ServerRow.project_id == project_id)
        if (values := self._session.execute(query).one_or_none()) is None:
            raise InvalidInput(f"marker [{marker}] not found")
        found = [after(sorts, list(values))]
        (first, descends), value = sorts[0], values[0]
        if value is not None and not first.property.columns[0].nullable:  # lets an index find where the page begins
            found.append(first <= value if descends else first >= value)
        return found


def conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    """What the rows must fulfil."""
    found: list[ColumnElement[bool]] = []
    if wanted.project_id is not None:
        found.append(ServerRow.project_id == wanted.project_id)
    if wanted.deleted is not None:
        found.append(ServerRow.deleted_at.is_not(None) if wanted.deleted else ServerRow.deleted_at.is_(None))
    if wanted.statuses is None and wanted.deleted is False and "vm_state" not in wanted.same:
        found.append(ServerRow.vm_state != VmState.SOFT_DELETED)  # seen only by who asks for them
    if wanted.statuses is not None:
        found.append(or_(false(), *(_in_status(match) for match in wanted.statuses)))
    found += [_like(LIKE[name], pattern) for name, pattern in wanted.like.items()]
    found += [_same(SAME[name], value) for name, value in wanted.same.items()]
    found += [_at(AT[name], time) for name, time in wanted.at.items()]
    if wanted.flavor is not None:
        found.append(ServerRow.flavor_id == wanted.flavor)
    if wanted.changed_since is not None:
        found.append(ServerRow.updated_at >= wanted.changed_since)
    if wanted.changed_before is not None:
        found.append(ServerRow.updated_at <= wanted.changed_before)
    return found + _tagged(wanted.tags)


def _like(column: InstrumentedAttribute[Any], pattern: Pattern) -> ColumnElement[bool]:
    if pattern.is_regular:
        return column.regexp_match(pattern.text, flags="i")
    return column.ilike(pattern.text, escape=ESCAPE)


def _same(column: InstrumentedAttribute[Any], value: Any) -> ColumnElement[bool]:
    return column.in_(value) if isinstance(value, list) else column == value


def _at(column: InstrumentedAttribute[Any], time: datetime) -> ColumnElement[bool]:
    if time.microsecond:
        return column == time
    return and_(column >= time, column < time + timedelta(seconds=1))


def _in_status(match: StatusMatch) -> ColumnElement[bool]:
    during: ColumnElement[bool] = ServerRow.task_state.in_(match.tasks)
    if match.others:
        during = or_(ServerRow.task_state.is_(None), not_(during)) if match.tasks else ServerRow.id.is_not(None)
    return and_(ServerRow.vm_state == match.state, during)


def _tagged(tags: Tagged) -> list[ColumnElement[bool]]:
    found = [_has(tag) for tag in tags.every]
    if tags.some:
        found.append(or_(*map(_has, tags.some)))
    if tags.not_every:
        found.append(not_(and_(*map(_has, tags.not_every))))
    if tags.none:
        found.append(not_(or_(*map(_has, tags.none))))
    return found


def _has(tag: str) -> ColumnElement[bool]:
    """Its JSON text stands in the list's, in upper and lower case as given; the same words in both databases."""
    written = cast(ServerRow.tags, Text)
    return func.replace(written, orjson.dumps(tag).decode(), "") != written
