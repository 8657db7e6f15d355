"""Tells the sweep of a store what in it belongs to something."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from common.db.database import Database
from services.image.db.places import Places
from services.image.db.uploads import Uploads

AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Living:
    """Asked after the store was listed, in turns: an image that came meanwhile is not missed."""

    database: Database
    store: str

    def uploads(self, ids: Collection[UUID]) -> set[UUID]:
        """Those of these uploads and imports that go on."""
        with self.database.reading() as session:
            return {one for some in _turns(ids) for one in Uploads(session).alive(some)}

    def images(self, ids: Collection[UUID]) -> set[UUID]:
        """Those of these images whose bytes belong into the store, or may do so in a moment."""
        with self.database.reading() as session:
            return {one for some in _turns(ids) for one in Places(session).wanted(self.store, some)}

    def arriving(self, ids: Collection[UUID]) -> set[UUID]:
        """Those of these images that an upload or import is under way for."""
        with self.database.reading() as session:
            return {one for some in _turns(ids) for one in Uploads(session).under_way(some)}


def _turns(ids: Collection[UUID]) -> list[list[UUID]]:
    some = list(ids)
    return [some[start : start + AT_ONCE] for start in range(0, len(some), AT_ONCE)]
