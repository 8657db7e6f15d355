"""Image bytes between a file and the cloud: in ranges, so that what broke off goes on where it was."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from cli.cloud_client import CloudClient
from cli.progress import bytes_bar, note
from common.errors import Conflict, InvalidInput, NotFound, Unavailable

PIECE_BYTES = 1 << 20
TRIES = 5
PAUSE_S = 1
MOST_TOLD = 10  # images of one name

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Upload:
    cloud: CloudClient
    image_id: str
    file: Path
    store: str | None = None

    def run(self) -> None:
        """Until the image is active.  Unavailable after some tries, and what is here stays; what the service refuses at once"""
        total, sent = self.file.stat().st_size, 0

        def tell(count: int) -> None:
            nonlocal sent
            sent += count
            progress(count)

        with bytes_bar(f"{self.file.name} to the image service", total) as progress:
            for tries_left in reversed(range(TRIES)):
                held = self._held()
                tell(held - sent)
                try:
                    self._send(held, total, tell)
                    return
                except (Unavailable, Conflict) as error:
                    if isinstance(error, Conflict) and self._status() != "saving":
                        raise
                    if not tries_left:
                        raise Unavailable(f"{error.message}\n{self.go_on}") from error
                    note(f"{error.message}: trying again")
                    time.sleep(PAUSE_S)

    @property
    def go_on(self) -> str:
        """What to tell who comes back later."""
        return f"Go on later: pileus image upload --resume {self.image_id} {self.file}"

    def _status(self) -> str:
        """While it is `saving`, a range that broke off may not be known to be over yet."""
        return str(self.cloud.get(f"/image/v2/images/{self.image_id}")["status"])

    def _held(self) -> int:
        """Bytes that the service has of an earlier try."""
        answer = self.cloud.http.request("HEAD", self._path, token=self.cloud.token)
        return int(answer.headers.get("upload-offset", "0"))

    def _send(self, first: int, total: int, progress: Progress) -> None:
        headers = {"content-type": "application/octet-stream", "content-length": str(total - first)}
        if total:
            headers["content-range"] = f"bytes {first}-{total - 1}/{total}"
        if self.store:
            headers["x-image-meta-store"] = self.store
        pieces = _pieces(self.file, first, progress)
        self.cloud.http.request("PUT", self._path, token=self.cloud.token, content=pieces, headers=headers, timeout=600)

    @property
    def _path(self) -> str:
        return f"/image/v2/images/{self.image_id}/file"


@dataclass(frozen=True, slots=True)
class Download:
    cloud: CloudClient
    image: str  # its id, or its name if no other has that
    file: Path

    def run(self) -> None:
        """The file appears when all of it is there and right.  NotFound, Unavailable, InvalidInput"""
        if not self.file.parent.is_dir():
            raise InvalidInput(f"There is no directory {self.file.parent}")
        image = found_image(self.cloud, self.image)
        if image["size"] is None:
            raise InvalidInput(f"Image {self.image} has no bytes yet: it is {image['status']}")
        part = self.file.with_name(f"{self.file.name}.part")
        with bytes_bar(f"Image {image['name'] or self.image}", image["size"]) as progress:
            for tries_left in reversed(range(TRIES)):
                try:
                    self._fetch(part, image["id"], image["size"], progress)
                    break
                except Unavailable as error:
                    if not tries_left:
                        raise
                    note(f"{error.message}: trying again")
                    time.sleep(PAUSE_S)
        if _sha512(part) != image["os_hash_value"]:
            part.unlink()
            raise InvalidInput(f"The bytes are not those of image {self.image}; {part} is removed")
        part.rename(self.file)

    def _fetch(self, part: Path, image_id: str, size: int, progress: Progress) -> None:
        with part.open("ab") as target:
            if (held := target.tell()) >= size:
                return
            path, wanted = f"/image/v2/images/{image_id}/file", {"range": f"bytes={held}-"}
            with self.cloud.http.stream("GET", path, token=self.cloud.token, headers=wanted) as answer:
                for piece in answer.iter_raw(PIECE_BYTES):
                    target.write(piece)
                    progress(len(piece))


def found_image(cloud: CloudClient, wanted: str) -> dict[str, Any]:
    """The image of this id, or else of this name.  NotFound; InvalidInput if several have the name"""
    with suppress(NotFound):
        found: dict[str, Any] = cloud.get(f"/image/v2/images/{quote(wanted, safe='')}")
        return found
    images = cloud.get(f"/image/v2/images?{urlencode({'name': f'eq:{wanted}', 'limit': MOST_TOLD})}")["images"]
    if not images:
        raise NotFound(f"There is no image '{wanted}'")
    if len(images) > 1:
        ids = ", ".join(one["id"] for one in images)
        raise InvalidInput(f"Several images have the name '{wanted}': name one by its id: {ids}")
    [only] = images
    return dict(only)


def _pieces(file: Path, first: int, progress: Progress) -> Iterator[bytes]:
    with file.open("rb") as source:
        source.seek(first)
        while piece := source.read(PIECE_BYTES):
            yield piece
            progress(len(piece))


def _sha512(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha512").hexdigest()
