"""The image service as other services use it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from json import dumps
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common.http.client import ServiceClient, TokenSource, Voucher
from common.process import Surroundings

PIECE_BYTES = 1 << 20
LONGEST_UPLOAD_S = 3600.0


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
    created_at: datetime | None = None
    updated_at: datetime | None = None
    direct_url: str | None = None  # only services are told


_OWN = frozenset(ImageFacts.model_fields) | {"self", "file", "schema", "stores"}


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

    def status(self, image_id: UUID | str) -> str:
        """NotFound"""
        return self.show(image_id).status

    def create(self, body: dict[str, Any], token: str | None = None) -> ImageFacts:
        """An image without bytes, of the token's owner.  InvalidInput, Forbidden, TooLarge"""
        return facts_of(self.request("POST", "/v2/images", token=token, json=body).json())

    def share(self, image_id: UUID | str, project_id: str, token: str | None = None) -> None:
        """Show the image to another project."""
        self.request("POST", f"/v2/images/{image_id}/members", token=token, json={"member": project_id})

    def upload(self, image_id: UUID | str, pieces: Iterator[bytes], size: int) -> None:
        """Give a queued image its bytes; it is active afterwards.  NotFound, Conflict, TooLarge"""
        headers = {"content-type": "application/octet-stream", "content-length": str(size)}
        self.request(
            "PUT", f"/v2/images/{image_id}/file", headers=headers, content=pieces, timeout=(5, LONGEST_UPLOAD_S, 60, 5)
        )

    def change(self, image_id: UUID | str, steps: list[dict[str, Any]], token: str | None = None) -> ImageFacts:
        """Apply a JSON patch.  NotFound, Forbidden, InvalidInput"""
        headers = {"content-type": "application/openstack-images-v2.1-json-patch"}
        path = f"/v2/images/{image_id}"
        return facts_of(self.request("PATCH", path, token=token, headers=headers, content=dumps(steps)).json())

    def remove(self, image_id: UUID | str, token: str | None = None) -> None:
        """NotFound, Forbidden"""
        self.request("DELETE", f"/v2/images/{image_id}", token=token)

    def find(self, token: str | None = None, **filters: str) -> list[ImageFacts]:
        """One page of images, the newest first unless the filters say otherwise."""
        answer = self.request("GET", "/v2/images", token=token, params=filters).json()
        return [facts_of(body) for body in answer["images"]]


def facts_of(body: dict[str, Any]) -> ImageFacts:
    """An image of the API's answer."""
    properties = {name: value for name, value in body.items() if name not in _OWN}
    return ImageFacts.model_validate(body | {"properties": properties})
