"""Metadata definitions in the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, insert, or_, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.db.paging import after, in_order
from common.db.types import utc_now
from common.errors import Conflict, NotFound
from services.image.core.images import Viewer
from services.image.core.metadata_definitions import Association, Kind, Namespace, Part, PartPage
from services.image.db.metadata_tables import AssociationRow, NamespaceRow, PartRow, ResourceTypeRow
from services.image.db.usual_namespaces import write_usual_namespaces


@dataclass(frozen=True, slots=True)
class Definitions:
    """Queries of one session."""

    session: Session

    # ------------------------------------------------------------------ namespaces

    def seen(self, name: str, viewer: Viewer) -> tuple[UUID, Namespace]:
        """NotFound, also for what this viewer must not know of"""
        row = self.session.scalar(select(NamespaceRow).where(NamespaceRow.name == name, _visible(viewer)))
        if row is None:
            raise NotFound(f"Metadata definition namespace={name[:80]} was not found.")
        return row.id, _namespace(row)

    def page(
        self,
        viewer: Viewer,
        *,
        visibility: str | None,
        resource_types: Sequence[str],
        limit: int,
        marker: str | None,
        sort: str,
        descends: bool,
    ) -> list[tuple[UUID, Namespace]]:
        """NotFound for a marker that the viewer can't see"""
        sorts = [(getattr(NamespaceRow, key), descends) for key in dict.fromkeys((sort, "name"))]
        wanted = [_visible(viewer)]
        if visibility is not None:
            wanted.append(NamespaceRow.visibility == visibility)
        if resource_types:
            tied = select(AssociationRow.namespace_id).where(AssociationRow.resource_type.in_(resource_types))
            wanted.append(NamespaceRow.id.in_(tied))
        if marker is not None:
            _, last = self.seen(marker, viewer)
            wanted.append(after(sorts, [getattr(last, column.key) for column, _ in sorts]))
        query = in_order(select(NamespaceRow).where(*wanted), sorts).limit(limit)
        return [(row.id, _namespace(row)) for row in self.session.scalars(query)]

    def add(self, name: str, attributes: Mapping[str, Any], owner: str | None) -> tuple[UUID, Namespace]:
        """Conflict if there is one of that name"""
        now = utc_now()
        row = NamespaceRow(id=uuid4(), name=name, owner=owner, created_at=now, updated_at=now, **attributes)
        try:
            with self.session.begin_nested():
                self.session.add(row)
        except IntegrityError as error:
            raise Conflict(f"The metadata definition namespace={name} already exists.") from error
        return row.id, _namespace(row)

    def change(self, namespace_id: UUID, values: Mapping[str, Any]) -> None:
        """Conflict if another has the new name"""
        changed = update(NamespaceRow).where(NamespaceRow.id == namespace_id).values(updated_at=utc_now(), **values)
        try:
            with self.session.begin_nested():
                self.session.execute(changed)
        except IntegrityError as error:
            raise Conflict(f"The metadata definition namespace={values.get('name')} already exists.") from error
        self.session.expire_all()

    def remove(self, namespace_id: UUID) -> None:
        self.session.execute(delete(NamespaceRow).where(NamespaceRow.id == namespace_id))

    # ------------------------------------------------------------------ objects, properties, tags

    def parts(self, namespace_id: UUID, kind: Kind, page: PartPage = PartPage()) -> list[Part]:
        """NotFound for a marker that is none of them"""
        sorts = [(getattr(PartRow, key), page.descends) for key in dict.fromkeys((page.sort, "name"))]
        query = in_order(select(PartRow).where(_its(namespace_id, kind)), sorts).limit(page.limit)
        if page.marker is not None:
            last = self.part(namespace_id, kind, page.marker)
            query = query.where(after(sorts, [getattr(last, column.key) for column, _ in sorts]))
        return [_part(row) for row in self.session.scalars(query)]

    def part(self, namespace_id: UUID, kind: Kind, name: str) -> Part:
        """NotFound"""
        if (row := self.session.get(PartRow, (namespace_id, str(kind), name))) is None:
            raise NotFound(f"The metadata definition {kind} with name={name[:80]} was not found in its namespace.")
        return _part(row)

    def add_part(self, namespace_id: UUID, kind: Kind, name: str, body: Mapping[str, Any]) -> Part:
        """Conflict if there is one of that name"""
        now = utc_now()
        row = PartRow(namespace_id=namespace_id, kind=kind, name=name, body=dict(body), created_at=now, updated_at=now)
        try:
            with self.session.begin_nested():
                self.session.add(row)
        except IntegrityError as error:
            raise Conflict(
                f"A metadata definition {kind} with name={name} already exists in this namespace."
            ) from error
        return _part(row)

    def change_part(self, namespace_id: UUID, kind: Kind, name: str, new: str, body: Mapping[str, Any]) -> Part:
        """NotFound; Conflict if another has the new name"""
        began = self.part(namespace_id, kind, name).created_at
        if new != name and self.session.get(PartRow, (namespace_id, str(kind), new)) is not None:
            raise Conflict(f"A metadata definition {kind} with name={new} already exists in this namespace.")
        self.remove_part(namespace_id, kind, name)
        self.session.expunge_all()
        row = {"namespace_id": namespace_id, "kind": kind, "name": new, "body": dict(body)}
        self.session.execute(insert(PartRow).values(row | {"created_at": began, "updated_at": utc_now()}))
        return self.part(namespace_id, kind, new)

    def remove_part(self, namespace_id: UUID, kind: Kind, name: str) -> None:
        """NotFound"""
        self.part(namespace_id, kind, name)
        self.session.execute(delete(PartRow).where(_its(namespace_id, kind), PartRow.name == name))

    def remove_parts(self, namespace_id: UUID, kind: Kind) -> None:
        """All of them."""
        self.session.execute(delete(PartRow).where(_its(namespace_id, kind)))
        self.session.expire_all()

    # ------------------------------------------------------------------ resource types

    def resource_types(self) -> list[tuple[str, datetime, datetime]]:
        """By name."""
        query = select(ResourceTypeRow.name, ResourceTypeRow.created_at, ResourceTypeRow.updated_at)
        return [tuple(row) for row in self.session.execute(query.order_by(ResourceTypeRow.name))]  # type: ignore[misc]

    def associations(self, namespace_ids: Sequence[UUID]) -> defaultdict[UUID, list[Association]]:
        """Of several namespaces, in one query."""
        found: defaultdict[UUID, list[Association]] = defaultdict(list)
        query = select(AssociationRow).where(AssociationRow.namespace_id.in_(namespace_ids))
        for row in self.session.scalars(query.order_by(AssociationRow.resource_type)):
            found[row.namespace_id].append(_association(row))
        return found

    def associate(self, namespace_id: UUID, name: str, prefix: str | None, target: str | None) -> Association:
        """A resource type nobody named before is known from now on.  Conflict if they are associated already"""
        now = utc_now()
        if self.session.get(ResourceTypeRow, name) is None:
            self.session.add(ResourceTypeRow(name=name, created_at=now, updated_at=now))
        row = AssociationRow(
            namespace_id=namespace_id,
            resource_type=name,
            prefix=prefix,
            properties_target=target,
            created_at=now,
            updated_at=now,
        )
        try:
            with self.session.begin_nested():
                self.session.add(row)
        except IntegrityError as error:
            raise Conflict(f"The resource-type={name} is associated with this namespace already.") from error
        return _association(row)

    def part_ways(self, namespace_id: UUID, name: str) -> None:
        """NotFound if they were not associated"""
        if (row := self.session.get(AssociationRow, (namespace_id, name))) is None:
            raise NotFound(f"The resource-type={name[:80]} is not associated with this namespace.")
        self.session.delete(row)

    # ------------------------------------------------------------------ what every site has

    def furnish(self) -> None:
        """Write the usual resource types and namespaces at a site that has none at all."""
        if self.session.scalar(select(ResourceTypeRow.name).limit(1)) is not None:
            return
        write_usual_namespaces(self.session)


def _visible(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.sees_all:
        return true()
    return or_(NamespaceRow.visibility == "public", NamespaceRow.owner == viewer.project_id)


def _its(namespace_id: UUID, kind: Kind) -> ColumnElement[bool]:
    return (PartRow.namespace_id == namespace_id) & (PartRow.kind == kind)


def _namespace(row: NamespaceRow) -> Namespace:
    return Namespace(
        name=row.name,
        display_name=row.display_name,
        description=row.description,
        visibility=row.visibility,
        protected=row.protected,
        owner=row.owner,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _part(row: PartRow) -> Part:
    return Part(kind=Kind(row.kind), name=row.name, body=row.body, created_at=row.created_at, updated_at=row.updated_at)


def _association(row: AssociationRow) -> Association:
    return Association(
        resource_type=row.resource_type,
        prefix=row.prefix,
        properties_target=row.properties_target,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
