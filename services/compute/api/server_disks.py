"""Which disks a request for new servers names: its image's, and blank ones of its flavor's ephemeral space and swap."""

from __future__ import annotations

from collections.abc import Sequence

from common.errors import InvalidInput
from services.compute.api.schemas.servers import NewDisk
from services.compute.core.guests import BlankDisk, DiskKind
from services.compute.core.hardware import Hardware
from services.compute.core.hardware.boards import Q35
from services.compute.core.hardware.devices import DISK_PREFIX
from services.compute.core.local_disks import FILE_SYSTEMS, INVALID, MIB_PER_GIB

NO_VOLUMES = f"{INVALID}this cloud has no volume service; a server's disk comes from its image."
BOOT_SEQUENCE = f"{INVALID}Boot sequence for the instance and image/block device mapping combination is not valid."
SWAP = "swap"


def blank_disks(asked: Sequence[NewDisk], *, image_ref: str | None, most: int) -> list[BlankDisk]:
    """In order; one without a size has 0 MiB, which stands for all that the flavor has.  InvalidInput"""
    mapped = [disk for disk in asked if not disk.no_device]
    for disk in mapped:
        _must_be_local(disk, image_ref)
    _must_start_from_image(mapped)
    if 0 <= most < len(mapped):
        raise InvalidInput(f"{INVALID}You specified more local devices than the limit allows")
    return [_blank(disk) for disk in mapped if disk.source_type == "blank"]


def _must_be_local(disk: NewDisk, image_ref: str | None) -> None:
    if disk.source_type is None:
        raise InvalidInput(f"{INVALID}Invalid source_type field.")
    if disk.source_type in ("volume", "snapshot") or disk.destination_type == "volume":
        raise InvalidInput(NO_VOLUMES)
    if disk.source_type == "image":
        if not disk.uuid:
            raise InvalidInput(f"{INVALID}Missing device UUID.")
        if not (image_ref and disk.boot_index == 0):
            raise InvalidInput(f"{INVALID}Mapping image to local is not supported.")
        if image_ref.rsplit("/", 1)[-1] != disk.uuid or disk.volume_size:
            raise InvalidInput(
                f"{INVALID}a server's root disk comes from the image in imageRef, and its size from the flavor."
            )


def _must_start_from_image(mapped: Sequence[NewDisk]) -> None:
    """Nova's rule: from 0 on, each once.  What nobody is to be started from says less, or nothing."""
    places = sorted(disk.boot_index for disk in mapped if disk.boot_index is not None and disk.boot_index >= 0)
    roots = [disk for disk in mapped if disk.source_type == "image"]
    if mapped and (places != list(range(len(places))) or len(roots) != 1):
        raise InvalidInput(BOOT_SEQUENCE)


def must_be_pluggable(asked: Sequence[NewDisk], hardware: Hardware) -> None:
    """InvalidInput for a bus that the guest does not have.  Nova's order: what a disk says itself, else what the image says."""
    for disk in asked:
        if disk.disk_bus is None or disk.no_device:
            continue
        if disk.disk_bus not in DISK_PREFIX or (disk.disk_bus == "ide" and hardware.board.family == Q35):
            raise InvalidInput(
                f"Requested hardware '{disk.disk_bus[:32]}' is not supported: no bus of the server takes its disk"
            )
        if disk.source_type == "image" and disk.disk_bus != hardware.devices.bus:
            raise InvalidInput(
                f"{INVALID}a root disk is where its image's hw_disk_bus says, which is {hardware.devices.bus}."
            )


def _blank(disk: NewDisk) -> BlankDisk:
    size, form = disk.volume_size or 0, disk.guest_format or ""
    if disk.device_type not in (None, "disk"):
        raise InvalidInput(f"{INVALID}a disk on the host is no {disk.device_type!r:.32}.")
    if form == SWAP:
        return BlankDisk(kind=DiskKind.SWAP, size_mib=size, tag=disk.tag, bus=disk.disk_bus)
    if form and form not in FILE_SYSTEMS:
        raise InvalidInput(f"{INVALID}{form[:64]} format is not supported")
    return BlankDisk(
        kind=DiskKind.EPHEMERAL, size_mib=size * MIB_PER_GIB, file_system=form, tag=disk.tag, bus=disk.disk_bus
    )
