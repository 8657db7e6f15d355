"""Queries on flavors and on who may use those that are not public."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Row, and_, bindparam, delete, exists, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.db.paging import Sort, after, in_order
from common.errors import Conflict, InvalidInput, NotFound
from services.compute.db.tables import FlavorAccessRow, FlavorRow

Flavor = Row[Any]
_F = FlavorRow
COLUMNS: tuple[InstrumentedAttribute[Any], ...] = (
    _F.id, _F.name, _F.description, _F.memory_mib, _F.vcpus, _F.root_gib, _F.ephemeral_gib, _F.swap_mib,
    _F.rxtx_factor, _F.is_public, _F.is_disabled, _F.extra_specs,
)  # fmt: skip
# fmt: off
SORTED: dict[str, InstrumentedAttribute[Any] | None] = {  # None: the same for all
    "flavorid": _F.id,              "id": _F.number,           "name": _F.name,          "created_at": _F.created_at,
    "memory_mb": _F.memory_mib,     "root_gb": _F.root_gib,    "vcpus": _F.vcpus,        "ephemeral_gb": _F.ephemeral_gib,
    "swap": _F.swap_mib,            "is_public": _F.is_public, "disabled": _F.is_disabled, "description": _F.description,
    "rxtx_factor": _F.rxtx_factor,  "updated_at": None,        "vcpu_weight": None,
}
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which flavors.  `project_id` None: whoever may use them."""

    project_id: str | None
    is_public: bool | None = None
    min_memory_mib: int | None = None
    min_root_gib: int | None = None
    name: str | None = None


class Flavors:
    """Within one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, flavor_id: str, *, project_id: str | None) -> Flavor:
        """The flavor, if it is public or the project may use it; with None, in any case.  NotFound"""
        query = _FIND if project_id is None else _FIND_USABLE
        asked = {"flavor_id": flavor_id} | ({} if project_id is None else {"project_id": project_id})
        if (row := self._session.connection().execute(query, asked).one_or_none()) is None:
            raise NotFound(f"Flavor {flavor_id} could not be found.")
        return row

    def page(
        self, wanted: Wanted, *, sort_key: str, descends: bool, marker: str | None, limit: int
    ) -> Sequence[Flavor]:
        column = SORTED[sort_key]
        sorts: list[Sort] = [(column, descends)] if column is not None else []
        sorts.append((FlavorRow.number, descends))
        query = select(*COLUMNS).where(*_conditions(wanted))
        if marker is not None:
            columns = [one for one, _ in sorts]
            values = self._session.execute(select(*columns).where(FlavorRow.id == marker)).one_or_none()
            if values is None:
                raise InvalidInput(f"marker [{marker}] not found")
            query = query.where(after(sorts, list(values)))
        return self._session.execute(in_order(query, sorts).limit(limit)).all()

    def add(self, values: Mapping[str, Any]) -> None:
        """A new flavor; one that is not public is nobody's until access is given.  Conflict"""
        flavor_id, name = values["id"], values["name"]
        for column, value, what in ((FlavorRow.name, name, "name"), (FlavorRow.id, flavor_id, "ID")):
            if self._session.scalar(select(exists().where(column == value))):
                raise Conflict(f"Flavor with {what} {value} already exists.")
        try:
            self._session.execute(insert(FlavorRow), [dict(values)])
        except IntegrityError as error:
            raise Conflict(f"Flavor with ID {flavor_id} already exists.") from error

    def change(self, flavor_id: str, **values: Any) -> None:
        self._session.execute(update(FlavorRow).where(FlavorRow.id == flavor_id).values(**values))

    def remove(self, flavor_id: str) -> None:
        """Servers that were made with it keep their copy.  NotFound"""
        self.find(flavor_id, project_id=None)
        self._session.execute(delete(FlavorAccessRow).where(FlavorAccessRow.flavor_id == flavor_id))
        self._session.execute(delete(FlavorRow).where(FlavorRow.id == flavor_id))

    def locked_specs(self, flavor_id: str) -> dict[str, str]:
        """Its extra specs, which nobody else changes until the transaction ends.  NotFound"""
        query = select(FlavorRow.extra_specs).where(FlavorRow.id == flavor_id).with_for_update()
        if (row := self._session.execute(query).one_or_none()) is None:
            raise NotFound(f"Flavor {flavor_id} could not be found.")
        return dict(row.extra_specs)

    # ------------------------------------------------------------------ access

    def projects(self, flavor_id: str) -> Sequence[str]:
        """Who may use it although it is not public."""
        query = select(FlavorAccessRow.project_id).where(FlavorAccessRow.flavor_id == flavor_id)
        return self._session.scalars(query.order_by(FlavorAccessRow.project_id)).all()

    def allow(self, flavor_id: str, project_id: str) -> None:
        if project_id in self.projects(flavor_id):
            raise Conflict(f"Flavor access already exists for flavor {flavor_id} and project {project_id} combination.")
        self._session.execute(insert(FlavorAccessRow), [{"flavor_id": flavor_id, "project_id": project_id}])

    def forbid(self, flavor_id: str, project_id: str) -> None:
        if project_id not in self.projects(flavor_id):
            raise NotFound(f"Flavor access not found for {flavor_id} / {project_id} combination.")
        mine = and_(FlavorAccessRow.flavor_id == flavor_id, FlavorAccessRow.project_id == project_id)
        self._session.execute(delete(FlavorAccessRow).where(mine))


def _usable(project_id: str | BindParameter[str] | None) -> list[ColumnElement[bool]]:
    if project_id is None:
        return []
    allowed = exists().where(FlavorAccessRow.flavor_id == FlavorRow.id, FlavorAccessRow.project_id == project_id)
    return [or_(FlavorRow.is_public, allowed)]


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found = _usable(wanted.project_id)
    if wanted.is_public is not None:
        found.append(FlavorRow.is_public.is_(wanted.is_public))
    if wanted.min_memory_mib is not None:
        found.append(FlavorRow.memory_mib >= wanted.min_memory_mib)
    if wanted.min_root_gib is not None:
        found.append(FlavorRow.root_gib >= wanted.min_root_gib)
    if wanted.name is not None:
        found.append(FlavorRow.name == wanted.name)
    return found


# Built once: each new server needs one of them.
_FIND = select(*(FlavorRow.__table__.c[column.key] for column in COLUMNS)).where(
    FlavorRow.__table__.c.id == bindparam("flavor_id")
)
_FIND_USABLE = _FIND.where(*_usable(bindparam("project_id")))
