"""The image service as other services use it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common.http.client import ServiceClient, TokenSource, Voucher
from common.process import Surroundings

PIECE_BYTES = 1 << 20


class ImageFacts(BaseModel):
    """What others need to know of an image; `size` and hashes are None until it is active."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: UUID
    name: str | None = None
    status: str
    owner: str | None = None
    visibility: str
    size: int | None = None
    virtual_size: int | None = None
    disk_format: str | None = None
    container_format: str | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    min_disk: int = 0  # GiB
    min_ram: int = 0  # MiB
    protected: bool = False
    os_hidden: bool = False
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = {}
    direct_url: str | None = None  # only services are told


_OWN = frozenset(ImageFacts.model_fields) | {"created_at", "updated_at", "self", "file", "schema", "stores"}


class ImageClient(ServiceClient):
    """Thread-safe."""

    @classmethod
    def near(
        cls,
        surroundings: Surroundings,
        *,
        token: TokenSource | None = None,
        voucher: Voucher | None = None,
        timeout_s: float = 30,
    ) -> ImageClient:
        """In the same process when images are served there, over the network otherwise."""
        inside, url = surroundings.inside, surroundings.platform.image_url
        return cls("http://image" if inside else url, inside=inside, token=token, voucher=voucher, timeout_s=timeout_s)

    def show(self, image_id: UUID | str, token: str | None = None) -> ImageFacts:
        """The image, as the owner of `token` sees it, or this service.  NotFound"""
        return facts_of(self.request("GET", f"/v2/images/{image_id}", token=token).json())

    @contextmanager
    def download(self, image_id: UUID | str, token: str | None = None) -> Iterator[Iterator[bytes]]:
        """The image's bytes in pieces, unverified.  NotFound"""
        with self.stream("GET", f"/v2/images/{image_id}/file", token=token) as answer:
            yield answer.iter_bytes(PIECE_BYTES)

    def local_path(self, image_id: UUID | str) -> Path | None:
        """Where the active image's bytes lie, if that is on this machine and readable; needs a service token."""
        facts = self.show(image_id)
        url = urlsplit(facts.direct_url or "")
        path = Path(unquote(url.path))
        if url.scheme != "file" or path.name != str(facts.id) or not os.access(path, os.R_OK):
            return None
        return path if path.stat().st_size == facts.size else None


def facts_of(body: dict[str, Any]) -> ImageFacts:
    """An image of the API's answer."""
    properties = {name: value for name, value in body.items() if name not in _OWN}
    return ImageFacts.model_validate(body | {"properties": properties})
