"""An image's bytes, in and out.  Async, because bytes are relayed; what blocks goes to threads."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
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
from services.image.core.images import Image, Status
from services.image.db.images import Images
from services.image.drivers.store.files import read_piece

router = APIRouter(dependencies=[Depends(authenticated)])  # before anything is looked at

PIECE_BYTES = 1 << 20
BYTES = "application/octet-stream"
_DATA_PATH = re.compile(r"/v2/images/[^/]+/(file|stage)")


class RangeNotSatisfiable(PlatformError):
    """The image has no such bytes."""

    status, code = 416, "range.not.satisfiable"


def carries_bytes(scope: Scope) -> bool:
    """Whether the request's body is an image: its length is bounded here, not at the door."""
    return scope["method"] == "PUT" and _DATA_PATH.fullmatch(scope["path"]) is not None


@router.put("/v2/images/{image_id}/file", status_code=204)
@operation("upload_image")
async def upload(image_id: ImageId, request: Request, caller: Caller, kit: KitOf) -> Response:
    """Take the bytes of a queued image; it is active when this answers."""
    _must_carry_bytes(request)
    store = request.headers.get("x-image-meta-store", kit.stores.default_id)
    receiving = await kit.off_loop(lambda: begin(kit, image_id, caller, store=store))
    return await _received(receiving, request)


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
    length = request.headers.get("content-length", "")
    try:
        await receiving.run(request.stream(), int(length) if length.isdigit() else None)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is left to read it
    return Response(status_code=204)


@router.get("/v2/images/{image_id}/file")
@operation("download_image")
async def download(image_id: ImageId, request: Request, caller: Caller, kit: KitOf) -> Response:
    """All bytes, or the part that `Range` names; 204 while there are none."""
    image = await kit.off_loop(lambda: _image(kit, image_id, caller))
    if (content := image.content) is None:
        return Response(status_code=204)
    part = wanted_part(request.headers.get("range"), content.size)
    file = await kit.off_loop(lambda: _opened(kit, image))
    first, last = part or (0, content.size - 1)
    headers = {"content-md5": content.md5, "content-length": str(last - first + 1), "accept-ranges": "bytes"}
    if part:
        headers["content-range"] = f"bytes {first}-{last}/{content.size}"
    pieces = _pieces(_Reading(kit, file), first, last + 1)
    return StreamingResponse(pieces, 206 if part else 200, headers, BYTES)


def _image(kit: Kit, image_id: ImageId, caller: Who) -> Image:
    with kit.database.reading() as session:
        image = Images(session).seen(image_id, kit.viewer(caller))
    kit.must("download_image", caller, image)
    if image.status is Status.DEACTIVATED and not caller.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    return image


def _opened(kit: Kit, image: Image) -> int:
    """From the first of its stores that has it.  NotFound, Unavailable"""
    *others, last = image.stores
    for name in others:
        with suppress(PlatformError):
            return kit.stores[name].open(image.id)
    return kit.stores[last].open(image.id)


@dataclass(frozen=True, slots=True)
class _Reading:
    kit: Kit
    file: int

    def __call__(self, offset: int, size: int) -> asyncio.Future[bytes]:
        return asyncio.ensure_future(self.kit.off_loop(partial(read_piece, self.file, offset, size)))


async def _pieces(read: _Reading, offset: int, end: int) -> AsyncIterator[bytes]:
    """The bytes from `offset` up to `end`; while one piece is sent, the next is read."""
    coming: asyncio.Future[bytes] | None = None
    try:
        while offset < end:
            piece = await (coming or read(offset, min(PIECE_BYTES, end - offset)))
            offset += len(piece)
            coming = read(offset, min(PIECE_BYTES, end - offset)) if offset < end else None
            yield piece
    finally:
        if coming is not None:
            await asyncio.wait([coming])
        os.close(read.file)


_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


def wanted_part(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte that a Range header asks for; None for all of them.  RangeNotSatisfiable

    Several ranges, other units and nonsense mean the whole, as RFC 9110 (14.2) allows.
    """
    if header is None or not (found := _RANGE.fullmatch(header.strip())) or found[0] == "bytes=-":
        return None
    start, end = found.groups()
    first = int(start) if start else max(size - int(end), 0)
    last = min(int(end), size - 1) if start and end else size - 1
    if start and end and int(end) < first:
        return None
    if first >= size or (not start and int(end) == 0):
        raise RangeNotSatisfiable(f"The image has {size} bytes; the range asked for lies outside of them")
    return first, last
