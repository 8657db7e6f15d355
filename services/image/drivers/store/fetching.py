"""Bring an image's bytes from a store elsewhere to this machine, and check that they are the image's."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from uuid import UUID

from common.errors import PlatformError
from services.image.core.images import Content
from services.image.drivers.store.files import FileStore
from services.image.drivers.store.store import Store

PIECE_BYTES = 1 << 20


class OtherBytes(PlatformError):
    """The store gave other bytes than the image was made of."""

    code = "store.other_bytes"


def fetched(store: Store, image_id: UUID, content: Content, spool: FileStore, upload_id: UUID) -> Path:
    """The arrived file, on the disk; begun again, it begins anew.  NotFound, Unavailable, TooLarge, OtherBytes"""
    spool.discard(upload_id)
    with closing(spool.arrival(upload_id)) as arrival, closing(store.open(image_id, 0, content.size)) as reading:
        while arrival.size < content.size:
            arrival.write(reading.piece(min(PIECE_BYTES, content.size - arrival.size)))
        arrival.sync()
    if arrival.hashes()[1] != content.sha512:
        spool.discard(upload_id)
        raise OtherBytes("The image's bytes are not those that it was given")
    return arrival.path
