"""An image's bytes, in and out.  Async, because bytes are relayed; what blocks goes to threads."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial

from fastapi import APIRouter, Depends, Request, Response
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Scope

from common.auth.callers import Caller as Who
from common.errors import Forbidden, PlatformError, Unsupported
from common.http.identity import Caller, authenticated
from common.http.operations import operation
from services.image.api.kit import ImageId, Kit, KitOf
from services.image.api.receiving import Receiving, begin, begin_staging
from services.image.api.resuming import begin_part, offset
from services.image.core.images import Content, Image, Status
from services.image.core.ranges import Part, wanted_part
from services.image.db.cached_images import CachedImages
from services.image.db.images import Images
from services.image.drivers.store.files import FileStore
from services.image.drivers.store.store import Reading

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at

PIECE_BYTES = 1 << 20
BYTES = "application/octet-stream"
_DATA_PATH = re.compile(r"/v2/images/[^/]+/(file|stage)")


def carries_bytes(scope: Scope) -> bool:
    """Whether the request's body is an image: its length is bounded here, not at the door."""
    return scope["method"] == "PUT" and _DATA_PATH.fullmatch(scope["path"]) is not None


@router.put("/v2/images/{image_id}/file", status_code=204)
@operation("upload_image")
async def upload(image_id: ImageId, request: Request, caller: Caller, kit: KitOf) -> Response:
    """Take the bytes of a queued image; it is active when this answers."""
    _must_carry_bytes(request)
    store = request.headers.get("x-image-meta-store", kit.stores.default_id)
    if (named := request.headers.get("content-range")) is not None:
        return await _take_part(Part.read(named, _length(request)), store, image_id, request, caller, kit)
    receiving = await kit.off_loop(lambda: begin(kit, image_id, caller, store=store))
    return await _received(receiving, request)


async def _take_part(part: Part, store: str, image_id: ImageId, request: Request, caller: Who, kit: Kit) -> Response:
    """202 while there are more ranges to come."""
    receiving = await kit.off_loop(lambda: begin_part(kit, image_id, caller, part, store=store))
    answer = await _received(receiving, request)
    if answer.status_code == 204 and not receiving.is_whole:
        return Response(status_code=202, headers={"upload-offset": str(receiving.held)})
    return answer


@router.head("/v2/images/{image_id}/file")
@operation("download_image")
def look_at_data(image_id: ImageId, caller: Caller, kit: KitOf) -> Response:
    """How many bytes there are: of the image, or of an upload in ranges so far."""
    image = _image(kit, image_id, caller)
    if image.content is None:
        return Response(status_code=204, headers={"upload-offset": str(offset(kit, image))})
    return Response(headers=_described(image.content, image.content.size), media_type=BYTES)


@router.put("/v2/images/{image_id}/stage", status_code=204)
@operation("modify_image")
async def stage(image_id: ImageId, request: Request, caller: Caller, kit: KitOf) -> Response:
    """Put the bytes of a queued image into the staging area, for an import by `glance-direct`."""
    _must_carry_bytes(request)
    receiving = await kit.off_loop(lambda: begin_staging(kit, image_id, caller))
    return await _received(receiving, request)


def _must_carry_bytes(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != BYTES:
        raise Unsupported(f"The request media type {media_type[:80]} is not supported here. Send {BYTES}")


async def _received(receiving: Receiving, request: Request) -> Response:
    try:
        await receiving.run(request.stream(), _length(request))
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is left to read it
    return Response(status_code=204)


def _length(request: Request) -> int | None:
    """Of the body, if that is told."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _described(content: Content, length: int) -> dict[str, str]:
    return {"content-md5": content.md5, "content-length": str(length), "accept-ranges": "bytes"}


@router.get("/v2/images/{image_id}/file")
@operation("download_image")
async def download(image_id: ImageId, request: Request, caller: Caller, kit: KitOf) -> Response:
    """All bytes, or the part that `Range` names; 204 while there are none."""
    image = await kit.off_loop(lambda: _image(kit, image_id, caller))
    if (content := image.content) is None:
        return Response(status_code=204)
    part = wanted_part(request.headers.get("range"), content.size)
    first, last = part or (0, content.size - 1)
    preferred = request.query_params.get("prefer", "").split(",")
    reading = await kit.off_loop(lambda: _opened(kit, image, first, last + 1, preferred))
    headers = _described(content, last - first + 1)
    if part:
        headers["content-range"] = f"bytes {first}-{last}/{content.size}"
    pieces = _pieces(kit, reading, last + 1 - first)
    return StreamingResponse(pieces, 206 if part else 200, headers, BYTES)


def _image(kit: Kit, image_id: ImageId, caller: Who) -> Image:
    with kit.database.reading() as session:
        image = Images(session).seen(image_id, kit.viewer(caller))
    kit.must("download_image", caller, image)
    if image.status is Status.DEACTIVATED and not caller.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    return image


def _opened(kit: Kit, image: Image, first: int, end: int, preferred: Sequence[str] = ()) -> Reading:
    """From the nearest place that has it, those that the client prefers first.  NotFound, Unavailable"""
    rank = {name: number for number, name in enumerate(preferred)}
    nearest = sorted(kit.stores.nearest(image.stores), key=lambda one: rank.get(one, len(rank)))
    for name in nearest[:-1]:
        with suppress(PlatformError):
            return _from(kit, name, image, first, end)
    return _from(kit, nearest[-1], image, first, end)


def _from(kit: Kit, name: str, image: Image, first: int, end: int) -> Reading:
    """A store elsewhere is asked only for what the cache does not have; it will have it then."""
    store = kit.stores[name]
    if store.kind == FileStore.kind or kit.cache is None:
        return store.open(image.id, first, end)
    if (reading := kit.cache.open(image.id, first, end)) is not None:
        with kit.database.transaction() as session:
            CachedImages(session).used(image.id)
        return reading
    found = store.open(image.id, first, end)
    if end - first == (image.content.size if image.content else 0) <= kit.settings.cache_bytes:
        with kit.database.transaction() as session:
            CachedImages(session).want(image.id)
        kit.cache_nudge()
    return found


async def _pieces(kit: Kit, reading: Reading, left: int) -> AsyncIterator[bytes]:
    """The next `left` bytes; while one piece is sent, the next is read."""
    coming: asyncio.Future[bytes] | None = None

    def read() -> asyncio.Future[bytes]:
        return asyncio.ensure_future(kit.off_loop(partial(reading.piece, min(PIECE_BYTES, left))))

    try:
        while left > 0:
            piece = await (coming or read())
            left -= len(piece)
            coming = read() if left > 0 else None
            yield piece
    finally:
        if coming is not None:
            await asyncio.wait([coming])
        reading.close()
