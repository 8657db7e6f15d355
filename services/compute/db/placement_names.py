"""Queries on traits and resource classes that operators made.  The caller commits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.errors import Conflict, InvalidInput, NotFound
from services.compute.core.placement_names import standard_classes, standard_traits
from services.compute.db.placement_tables import CustomClassRow, CustomTraitRow, InventoryRow, ProviderTraitRow


class Traits:
    """Within one session.  A trait that an agent told of is known without having been made."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def known(self) -> set[str]:
        """All names there are."""
        return set(self._session.scalars(select(CustomTraitRow.name))) | self.associated() | standard_traits()

    def associated(self) -> set[str]:
        """Those that a provider has."""
        return set(self._session.scalars(select(ProviderTraitRow.trait).distinct()))

    def must_know(self, names: Iterable[str]) -> None:
        """InvalidInput"""
        if unknown := sorted(set(names) - self.known()):
            raise InvalidInput(f"No such trait(s): {', '.join(name[:255] for name in unknown)}.")

    def must_find(self, name: str) -> None:
        """NotFound"""
        if name not in self.known():
            raise NotFound(f"No such trait(s): {name[:255]}.")

    def add(self, name: str, *, at: datetime) -> bool:
        """Whether it is new."""
        if name in self.known():
            return False
        return _added(self._session, CustomTraitRow, name, at)

    def remove(self, name: str) -> None:
        """NotFound; InvalidInput for a standard one, Conflict for one that a provider has"""
        self.must_find(name)
        if name in standard_traits():
            raise InvalidInput(f"Cannot delete standard trait {name}.")
        if name in self.associated():
            raise Conflict(f"The trait {name} is in use by a resource provider.")
        self._session.execute(delete(CustomTraitRow).where(CustomTraitRow.name == name))


class ResourceClasses:
    """Within one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def known(self) -> list[str]:
        """The standard ones first."""
        own = self._session.scalars(
            select(CustomClassRow.name).order_by(CustomClassRow.created_at, CustomClassRow.name)
        )
        return [*standard_classes(), *own]

    def must_find(self, name: str) -> None:
        """NotFound"""
        if name not in self.known():
            raise NotFound(f"No such resource class {name[:255]}.")

    def unknown(self, names: Iterable[str]) -> str | None:
        """The first that there is not."""
        known = set(self.known())
        return next((name for name in names if name not in known), None)

    def add(self, name: str, *, at: datetime) -> bool:
        """Whether it is new."""
        return name not in self.known() and _added(self._session, CustomClassRow, name, at)

    def rename(self, name: str, other: str, *, at: datetime) -> None:
        """NotFound; InvalidInput for a standard one, Conflict if the other is there or somebody has some of it"""
        self.must_find(name)
        if name in standard_classes():
            raise InvalidInput(f"Cannot update standard resource class {name}")
        if other != name and other in self.known():
            raise Conflict(f"Resource class already exists: {other}")
        self._must_be_idle(name, f"Cannot update resource class {name}. Class is in use in inventory.")
        self._session.execute(delete(CustomClassRow).where(CustomClassRow.name == name))
        _added(self._session, CustomClassRow, other, at)

    def remove(self, name: str) -> None:
        """NotFound; InvalidInput for a standard one, Conflict if somebody has some of it"""
        self.must_find(name)
        failed = "Error in delete resource class: Cannot delete "
        if name in standard_classes():
            raise InvalidInput(f"{failed}standard resource class {name}.")
        self._must_be_idle(name, f"{failed}resource class {name}. Class is in use in inventory.")
        self._session.execute(delete(CustomClassRow).where(CustomClassRow.name == name))

    def _must_be_idle(self, name: str, refused: str) -> None:
        held = select(InventoryRow.total).where(InventoryRow.resource_class == name).limit(1)
        if self._session.scalar(held) is not None:
            raise Conflict(refused)


def _added(session: Session, table: type[CustomTraitRow | CustomClassRow], name: str, at: datetime) -> bool:
    """False if somebody was quicker."""
    try:
        with session.begin_nested():
            session.execute(insert(table), [{"name": name, "created_at": at}])
    except IntegrityError:
        return False
    return True
