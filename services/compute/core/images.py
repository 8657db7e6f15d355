"""Whether a server of some flavor can start from some image; asked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from common.errors import InvalidInput

GIB = 1 << 30
ISO = "iso"
HELD_AS = {"qcow2": "qcow2", "raw": "raw", "gpt": "raw", ISO: ISO}
"""What a host opens an image as, by the format that is recorded: a disk with partitions is a raw one.

From an ISO image a guest starts as from a CD-ROM; its root disk is empty.
"""

BOOTABLE = tuple(HELD_AS)
WRAPPED = ("ova", "ovf", "docker", "compressed")  # containers that no host unpacks


class Image(Protocol):
    """What the image service tells of an image."""

    @property
    def id(self) -> UUID: ...
    @property
    def name(self) -> str | None: ...
    @property
    def status(self) -> str: ...
    @property
    def size(self) -> int | None: ...
    @property
    def virtual_size(self) -> int | None: ...
    @property
    def disk_format(self) -> str | None: ...
    @property
    def container_format(self) -> str | None: ...
    @property
    def os_hash_value(self) -> str | None: ...
    @property
    def min_disk(self) -> int: ...
    @property
    def min_ram(self) -> int: ...
    @property
    def properties(self) -> Mapping[str, str]: ...


class Size(Protocol):
    """What counts of a flavor here."""

    @property
    def memory_mib(self) -> int: ...
    @property
    def root_gib(self) -> int: ...


@dataclass(frozen=True, slots=True)
class FlavorCopy:
    """The size of a server that exists, by its own copy of its flavor."""

    memory_mib: int
    root_gib: int

    @classmethod
    def of(cls, flavor: Mapping[str, Any]) -> FlavorCopy:
        return cls(flavor["memory_mib"], flavor["root_gib"])


def must_boot(image: Image, size: Size) -> None:
    """InvalidInput with the reason why a server of this size can't start from the image."""
    if image.status != "active":
        raise InvalidInput(f"Image {image.id} is not active.")
    if image.disk_format not in BOOTABLE or image.size is None or not image.os_hash_value:
        raise InvalidInput(
            f"Image {image.id} is unacceptable: disk format '{image.disk_format}' is none that a server can start "
            f"from ({', '.join(BOOTABLE)})."
        )
    if image.container_format in WRAPPED:
        raise InvalidInput(
            f"Image {image.id} is unacceptable: no server can start from a container of format '{image.container_format}'."
        )
    for part in ("kernel_id", "ramdisk_id"):
        if image.properties.get(part):
            raise InvalidInput(
                f"Image {image.id} is unacceptable: guests start with what their disk holds, not with {part} of an image."
            )
    if size.memory_mib < image.min_ram:
        raise InvalidInput("Flavor's memory is too small for requested image.")
    if size.root_gib == 0 and image.disk_format == ISO:
        raise InvalidInput(
            "Flavor's disk is too small for requested image: beside a CD-ROM a server needs a disk of its own."
        )
    if size.root_gib == 0:  # as large as the image turns out
        return
    room = size.root_gib * GIB
    if (needed := max(image.size, image.virtual_size or 0)) > room:
        raise InvalidInput(
            f"Flavor's disk is too small for requested image. Flavor disk is {room} bytes, image is {needed} bytes."
        )
    if (needed := image.min_disk * GIB) > room:
        raise InvalidInput(
            "Flavor's disk is smaller than the minimum size specified in image metadata. "
            f"Flavor disk is {room} bytes, minimum size is {needed} bytes."
        )
