"""Images in the database: what a viewer may see, one by one and in pages."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    String,
    and_,
    bindparam,
    delete,
    false,
    insert,
    literal,
    or_,
    select,
    text,
    true,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.db.paging import after_in_parts, in_order
from common.db.types import utc_now
from common.errors import Conflict, InvalidInput, NotFound
from services.image.core.images import Attributes, Content, Image, Status, Viewer, Visibility
from services.image.core.listing import Filter, Is, Listing
from services.image.db.tables import RARE, START, ImageRow, MemberRow, PlaceRow, PropertyRow, SpentIdRow, TagRow

PLAIN = ("name", "owner", "protected", "os_hidden", "disk_format", "container_format", "min_disk", "min_ram")
COLUMNS = tuple(
    getattr(ImageRow, name)
    for name in (
        *("id", "status", "visibility", "created_at", "updated_at", *PLAIN),
        *("size", "virtual_size", "checksum", "os_hash_value"),
    )
)
"""What an image is made of, and no more."""

FEW = 500  # images that a list looks through one by one
FOUND_BY_INDEX = frozenset(
    {"name", "status", "disk_format", "container_format", "size", "updated_at", "checksum", "os_hash_value"}
)

OPEN = (Visibility.PUBLIC, Visibility.COMMUNITY)

# fmt: off
COMPARISONS: dict[Is, Callable[[Any, Any], Any]] = {
    Is.EQUAL: operator.eq,  Is.OTHER:    operator.ne,
    Is.ABOVE: operator.gt,  Is.AT_LEAST: operator.ge,
    Is.BELOW: operator.lt,  Is.AT_MOST:  operator.le,
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Images:
    """Queries of one session."""

    session: Session

    def seen(self, image_id: UUID, viewer: Viewer) -> Image:
        """NotFound, also for what this viewer must not know of."""
        query = _ALONE if viewer.sees_all else _SEEN
        asked = {"image_id": image_id, "project_id": viewer.project_id}
        return self._alone(self.session.connection().execute(query, asked).first(), image_id)

    def locked(self, image_id: UUID, viewer: Viewer) -> Image:
        """The same, and nobody else changes it before the transaction ends."""
        return self._one(select(*COLUMNS).with_for_update(), image_id, viewer)

    def page(self, listing: Listing, viewer: Viewer) -> list[Image]:
        """At most `listing.limit` images.  InvalidInput for a marker that the viewer can't see."""
        if listing.limit == 0:
            return []
        wanted = [self._compared(one) for one in listing.filters]
        wanted += [self._having(TagRow, TagRow.value == value) for value in listing.tags]
        wanted += [self._having(PropertyRow, _is_property(*one)) for one in listing.properties]
        sorts = [(_column(one.attribute), one.descends) for one in listing.sorts]
        beyond: list[ColumnElement[bool]] = [true()]
        if listing.marker is not None:
            beyond = after_in_parts(sorts, self._marker(listing.marker, viewer, [column for column, _ in sorts]))
        parts = [
            in_order(select(ImageRow.id).where(part, later, *wanted), sorts).limit(listing.limit).subquery()
            for part in _listed(listing, viewer)
            for later in beyond
        ]
        ids = union_all(*(select(part.c.id) for part in parts))
        page = in_order(select(*COLUMNS).where(ImageRow.id.in_(ids)), sorts).limit(listing.limit)
        return self._filled(self.session.execute(page).all())

    def _compared(self, one: Filter) -> ColumnElement[bool]:
        match = _compares(one)
        if one.attribute in RARE and one.how in (Is.EQUAL, Is.AT_LEAST) and one.values[0]:
            few = self._few(select(ImageRow.id).where(match, text(RARE[one.attribute])))
        elif one.attribute in FOUND_BY_INDEX and one.how is not Is.OTHER:
            few = self._few(select(ImageRow.id).where(match))
        else:
            few = None
        return match if few is None else few

    def _having(self, part: type[PropertyRow | TagRow], match: ColumnElement[bool]) -> ColumnElement[bool]:
        """Images with such a part."""
        few = self._few(select(part.image_id).where(match))
        return select(part.image_id).where(part.image_id == ImageRow.id, match).exists() if few is None else few

    def _few(self, ids: Select[Any]) -> ColumnElement[bool] | None:
        """The images that these are, if they are few: then a list begins with them, instead of looking at all in their order.

        A database would have to guess, and SQLite's guess is always the same.
        """
        found = self.session.scalars(ids.limit(FEW + 1)).all()
        if not found:
            return false()
        return ImageRow.id.in_(found) if len(found) <= FEW else None

    def add(self, image_id: UUID, attributes: Attributes) -> Image:
        """A new queued image.  Conflict if the id is or was another's."""
        if self.session.get(SpentIdRow, image_id) is not None:
            raise Conflict(f"Image ID {image_id} already exists!")
        now = utc_now()
        row = {"id": image_id, "status": Status.QUEUED, "created_at": now, "updated_at": now, "claimed_bytes": 0}
        try:
            with self.session.begin_nested():
                self.session.execute(insert(ImageRow).values(row | _columns(attributes)))
        except IntegrityError as error:
            raise Conflict(f"Image ID {image_id} already exists!") from error
        self._add_parts(image_id, attributes)
        return Image(
            id=image_id, status=Status.QUEUED, attributes=attributes, content=None, created_at=now, updated_at=now
        )

    def change(self, image: Image, attributes: Attributes) -> Image:
        """The image with these attributes; the caller holds it locked."""
        now = utc_now()
        self.session.execute(
            update(ImageRow).where(ImageRow.id == image.id).values(updated_at=now, **_columns(attributes))
        )
        for part in (PropertyRow, TagRow):
            self.session.execute(delete(part).where(part.image_id == image.id))
        self._add_parts(image.id, attributes)
        return self._one(select(*COLUMNS), image.id, Viewer(None, sees_all=True))

    def remove(self, image: Image) -> None:
        """Forget the image, but not that its id was used."""
        self.session.execute(delete(ImageRow).where(ImageRow.id == image.id))
        self.session.add(SpentIdRow(id=image.id, deleted_at=utc_now()))

    def note(self, image_id: UUID, notes: Mapping[str, str | None]) -> None:
        """Set properties that are the service's own; None removes one.  A deleted image is left alone."""
        if self.session.execute(select(ImageRow.id).where(ImageRow.id == image_id).with_for_update()).first() is None:
            return
        its = PropertyRow.image_id == image_id
        self.session.execute(delete(PropertyRow).where(its, PropertyRow.name.in_(notes)))
        rows = [_property(image_id, name, value) for name, value in notes.items() if value is not None]
        if rows:
            self.session.execute(insert(PropertyRow), rows)

    def reformat(self, image_id: UUID, disk_format: str) -> None:
        """The image's bytes are of another format than those that came."""
        self.session.execute(update(ImageRow).where(ImageRow.id == image_id).values(disk_format=disk_format))

    def put(self, image: Image, status: Status) -> None:
        """Have it in this state; the caller holds it locked."""
        self.session.execute(
            update(ImageRow).where(ImageRow.id == image.id).values(status=status, updated_at=utc_now())
        )

    def _one(self, query: Select[Any], image_id: UUID, viewer: Viewer) -> Image:
        row = self.session.execute(query.where(ImageRow.id == image_id, _visible(viewer))).first()
        return self._alone(row, image_id)

    def _alone(self, row: Row[Any] | None, image_id: UUID) -> Image:
        """With properties and tags.  NotFound"""
        if row is None:
            raise NotFound(f"No image found with ID {image_id}")
        connection, its = self.session.connection(), {"image_id": image_id}
        properties = {row.name: row.value for row in connection.execute(_PROPERTIES, its)}
        tags, stores = (tuple(connection.execute(query, its).scalars()) for query in (_TAGS, _PLACES))
        return _image(row, properties, tags, stores)

    def _marker(self, marker: UUID, viewer: Viewer, columns: list[InstrumentedAttribute[Any]]) -> Sequence[Any]:
        found = self.session.execute(select(*columns).where(ImageRow.id == marker, _visible(viewer))).first()
        if found is None:
            raise InvalidInput(f"No image found with ID {marker}")
        return found

    def _filled(self, rows: Sequence[Row[Any]]) -> list[Image]:
        """With properties and tags, in one query each."""
        ids = [row.id for row in rows]
        if not ids:
            return []
        properties: defaultdict[str, dict[str, str]] = defaultdict(dict)
        chosen = select(_bare(PropertyRow.image_id), PropertyRow.name, PropertyRow.value)
        for image_id, name, value in self.session.execute(
            chosen.where(PropertyRow.image_id.in_(ids)).order_by(PropertyRow.name)
        ):
            properties[_hex(image_id)][name] = value
        tags: defaultdict[str, list[str]] = defaultdict(list)
        tagged = select(_bare(TagRow.image_id), TagRow.value).where(TagRow.image_id.in_(ids)).order_by(TagRow.value)
        for image_id, value in self.session.execute(tagged):
            tags[_hex(image_id)].append(value)
        stores: defaultdict[str, list[str]] = defaultdict(list)
        placed = select(_bare(PlaceRow.image_id), PlaceRow.store).where(PlaceRow.image_id.in_(ids))
        for image_id, store in self.session.execute(placed.order_by(PlaceRow.store)):
            stores[_hex(image_id)].append(store)
        return [_image(row, properties[row.id.hex], tuple(tags[row.id.hex]), tuple(stores[row.id.hex])) for row in rows]

    def _add_parts(self, image_id: UUID, attributes: Attributes) -> None:
        properties = [_property(image_id, name, value) for name, value in attributes.properties.items()]
        tags = [{"image_id": image_id, "value": value} for value in attributes.tags]
        if properties:
            self.session.execute(insert(PropertyRow), properties)
        if tags:
            self.session.execute(insert(TagRow), tags)


def _property(image_id: UUID, name: str, value: str) -> dict[str, Any]:
    return {"image_id": image_id, "name": name, "value": value, "start": value[:START]}


def _bare(column: InstrumentedAttribute[UUID]) -> ColumnElement[str]:
    """The column as the driver gives it: making thousands of UUIDs took a third of a large list's time."""
    return type_coerce(column, String)


def _hex(bare: object) -> str:
    """SQLite gives 32 digits, PostgreSQL a UUID."""
    return str(bare).replace("-", "")


def _visible(viewer: Viewer) -> ColumnElement[bool]:
    """What may be shown when asked for by id."""
    if viewer.sees_all:
        return true()
    return or_(ImageRow.visibility.in_(OPEN), _own(viewer), _shared_with(viewer.project_id))


def _own(viewer: Viewer) -> ColumnElement[bool]:
    return false() if viewer.project_id is None else ImageRow.owner == viewer.project_id


def _shared_with(project_id: Any, status: str = "all") -> ColumnElement[bool]:
    """Images that this project is a member of, and has answered so."""
    mine = select(MemberRow.image_id).where(MemberRow.member_id == project_id)
    if status != "all":
        mine = mine.where(MemberRow.status == status)
    return and_(ImageRow.visibility == Visibility.SHARED, ImageRow.id.in_(mine))


# Built once: each new server asks for its image.
_ALONE = select(*COLUMNS).where(ImageRow.id == bindparam("image_id"))
_SEEN = _ALONE.where(
    or_(
        ImageRow.visibility.in_([literal(one) for one in OPEN]),
        ImageRow.owner == bindparam("project_id"),
        _shared_with(bindparam("project_id")),
    )
)
_PROPERTIES = (
    select(PropertyRow.name, PropertyRow.value)
    .where(PropertyRow.image_id == bindparam("image_id"))
    .order_by(PropertyRow.name)
)
_TAGS = select(TagRow.value).where(TagRow.image_id == bindparam("image_id")).order_by(TagRow.value)

_PLACES = select(PlaceRow.store).where(PlaceRow.image_id == bindparam("image_id")).order_by(PlaceRow.store)


def _listed(listing: Listing, viewer: Viewer) -> list[ColumnElement[bool]]:
    """What a list shows, in parts without overlap that are each read in the order of an index.

    Strangers' community images come only on request.
    """
    strangers = ImageRow.owner.is_distinct_from(viewer.project_id)
    shared = and_(_shared_with(viewer.project_id, listing.member_status), strangers)
    if listing.visibility is not None:
        chosen = ImageRow.visibility == listing.visibility
        if viewer.sees_all or listing.visibility in OPEN:
            return [chosen]
        own = and_(_own(viewer), chosen)
        return [own, shared] if listing.visibility is Visibility.SHARED else [own]
    if viewer.sees_all:
        return [true()]
    shown = OPEN if listing.every_visibility else (Visibility.PUBLIC,)
    return [_own(viewer), shared, *(and_(ImageRow.visibility == one, strangers) for one in shown)]


def _compares(one: Filter) -> ColumnElement[bool]:
    column = _column(one.attribute)
    if one.how is Is.ONE_OF:
        return column.in_(one.values)
    found: ColumnElement[bool] = COMPARISONS[one.how](column, one.values[0])
    return found


def _is_property(name: str, value: str) -> ColumnElement[bool]:
    starts = PropertyRow.start == value[:START]
    return and_(PropertyRow.name == name, starts, PropertyRow.value == value)


def _column(attribute: str) -> InstrumentedAttribute[Any]:
    found: InstrumentedAttribute[Any] = getattr(ImageRow, attribute)
    return found


def _columns(attributes: Attributes) -> dict[str, Any]:
    return {name: getattr(attributes, name) for name in PLAIN} | {"visibility": str(attributes.visibility)}


def _image(row: Row[Any], properties: Any, tags: tuple[str, ...], stores: tuple[str, ...]) -> Image:
    plain: dict[str, Any] = {name: getattr(row, name) for name in PLAIN}
    return Image(
        id=row.id,
        status=Status(row.status),
        attributes=Attributes(**plain, visibility=Visibility(row.visibility), properties=properties, tags=tags),
        content=_content(row),
        created_at=row.created_at,
        updated_at=row.updated_at,
        stores=stores,
    )


def _content(row: Row[Any]) -> Content | None:
    if row.size is None or row.checksum is None or row.os_hash_value is None:
        return None
    return Content(size=row.size, virtual_size=row.virtual_size or 0, md5=row.checksum, sha512=row.os_hash_value)
