"""Queries on host aggregates, and the zones that they make.  The caller commits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, case, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, NotFound
from services.compute.core.aggregates import ZONE, HostGroup
from services.compute.db.services import COMPUTE
from services.compute.db.tables import AggregateHostRow, AggregateRow, ServerRow, ServiceRow

_A, _H = AggregateRow, AggregateHostRow
COLUMNS = (_A.number, _A.id, _A.name, _A.attributes, _A.created_at, _A.updated_at)


_ATTRIBUTES = select(AggregateRow.__table__.c.number, AggregateRow.__table__.c.attributes)  # built once


@dataclass(frozen=True, slots=True)
class Aggregate:
    number: int
    id: UUID
    name: str
    attributes: dict[str, str]
    created_at: datetime
    updated_at: datetime | None
    hosts: tuple[str, ...] = ()

    @property
    def zone(self) -> str | None:
        return self.attributes.get(ZONE)


class Aggregates:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def listed(self) -> list[Aggregate]:
        """In the order in which they were made."""
        rows = self._session.execute(select(*COLUMNS).order_by(_A.number)).all()
        hosts = self._hosts([row.number for row in rows])
        return [_aggregate(row, hosts[row.number]) for row in rows]

    def find(self, number: int) -> Aggregate:
        """NotFound"""
        return self._one(number, select(*COLUMNS))

    def locked(self, number: int) -> Aggregate:
        """Nobody else changes it until the transaction ends.  NotFound"""
        return self._one(number, select(*COLUMNS).with_for_update())

    def _one(self, number: int, query: Select[Any]) -> Aggregate:
        if (row := self._session.execute(query.where(_A.number == number)).one_or_none()) is None:
            raise NotFound(f"Aggregate {number} could not be found.")
        return _aggregate(row, self._hosts([number])[number])

    def _hosts(self, numbers: Sequence[int]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {number: [] for number in numbers}
        query = select(_H.aggregate, _H.host).where(_H.aggregate.in_(numbers)).order_by(_H.host)
        for number, host in self._session.execute(query):
            found[number].append(host)
        return found

    def groups(self) -> list[HostGroup]:
        """All that say more than a zone: what the scheduler looks at."""
        telling = [one for one in self._attributes() if set(one.attributes) - {ZONE}]
        hosts = self._hosts([one.number for one in telling]) if telling else {}
        return [HostGroup(frozenset(hosts[one.number]), one.attributes) for one in telling]

    def _attributes(self) -> Sequence[Any]:
        return self._session.connection().execute(_ATTRIBUTES).all()

    def add(self, values: Mapping[str, Any]) -> int:
        """Its number.  Conflict if there is one of this name."""
        try:
            found = self._session.execute(insert(AggregateRow).values(**values).returning(_A.number))
            return int(found.scalar_one())
        except IntegrityError as error:
            raise Conflict(f"Aggregate {values['name']} already exists.") from error

    def change(self, number: int, **values: Any) -> None:
        """Conflict"""
        try:
            self._session.execute(update(AggregateRow).where(_A.number == number).values(**values))
        except IntegrityError as error:
            raise Conflict(f"Aggregate {values['name']} already exists.") from error

    def remove(self, number: int) -> None:
        self._session.execute(delete(AggregateRow).where(_A.number == number))

    # ------------------------------------------------------------------ hosts

    def has_host(self, host: str) -> bool:
        """Whether there is such a host, in an aggregate or not."""
        mine = (ServiceRow.host == host, ServiceRow.binary == COMPUTE)
        return self._session.scalar(select(ServiceRow.number).where(*mine).with_for_update()) is not None

    def join(self, number: int, host: str) -> None:
        self._session.execute(insert(AggregateHostRow), [{"aggregate": number, "host": host}])

    def leave(self, number: int | None, host: str) -> None:
        """With None, all that it is in."""
        mine = delete(AggregateHostRow).where(_H.host == host)
        self._session.execute(mine if number is None else mine.where(_H.aggregate == number))

    def zones_of(self, hosts: Collection[str], *, besides: int) -> list[str]:
        """The zones that other aggregates give these hosts."""
        query = (
            select(_A.attributes).join(_H, _H.aggregate == _A.number).where(_H.host.in_(hosts), _A.number != besides)
        )
        return sorted({found[ZONE] for found in self._session.scalars(query) if ZONE in found})

    def servers_on(self, hosts: Collection[str]) -> int:
        query = select(func.count()).select_from(ServerRow).where(ServerRow.host.in_(hosts))
        return self._session.scalar(query.where(ServerRow.deleted_at.is_(None))) or 0

    def renew_zones(self, hosts: Collection[str], default: str) -> None:
        """Write down the zone of each of these hosts, which the scheduler and lists read."""
        query = select(_H.host, _A.attributes).join(_A, _A.number == _H.aggregate).where(_H.host.in_(hosts))
        zones = {host: found[ZONE] for host, found in self._session.execute(query) if ZONE in found}
        mine = update(ServiceRow).where(ServiceRow.host.in_(hosts), ServiceRow.binary == COMPUTE)
        new = case(*((ServiceRow.host == host, zone) for host, zone in zones.items()), else_=default)
        if hosts:
            self._session.execute(mine.values(zone=new if zones else default))


def _aggregate(row: Row[Any], hosts: Sequence[str]) -> Aggregate:
    return Aggregate(row.number, row.id, row.name, row.attributes, row.created_at, row.updated_at, tuple(hosts))
