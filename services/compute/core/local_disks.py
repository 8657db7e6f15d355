"""Which disks a server has besides its root, on its host alone: ephemeral space and swap, as its flavor allows.

Order and names are Nova's: the root disk is the first, ephemeral disks follow it, swap comes last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from string import ascii_lowercase
from typing import Any

from common.errors import InvalidInput
from services.compute.core.guests import BlankDisk, DiskKind
from services.compute.core.hardware.devices import DISK_PREFIX

MIB_PER_GIB = 1024
FILE_SYSTEMS = ("ext2", "ext3", "ext4", "vfat", "xfs")
"""What an ephemeral disk can be asked to hold."""

INVALID = "Block Device Mapping is Invalid: "
TOO_LARGE = (
    "Ephemeral disks requested are larger than the instance type allows. If no size is given in one block device mapping, "
    "flavor ephemeral size will be used."
)


def disks_of(
    flavor: Mapping[str, Any], asked: Collection[Mapping[str, Any]] | None = None, *, file_system: str = "ext4"
) -> tuple[BlankDisk, ...]:
    """In order.  `asked`: those that the request named, which take the place of the flavor's own of their kind."""
    named = [BlankDisk.model_validate(one) for one in asked or ()]
    ephemeral = [one for one in named if one.kind is DiskKind.EPHEMERAL] or _whole(flavor)
    swap = [one for one in named if one.kind is DiskKind.SWAP] or [
        BlankDisk(kind=DiskKind.SWAP, size_mib=int(flavor.get("swap_mib") or 0))
    ]
    made = [one if one.file_system else one.model_copy(update={"file_system": file_system}) for one in ephemeral]
    return tuple(one for one in [*made, *swap] if one.size_mib > 0)


def after_resize(asked: Collection[Mapping[str, Any]] | None) -> list[Mapping[str, Any]] | None:
    """Of what the request named, what another flavor leaves: swap is the new flavor's, as in Nova."""
    kept = [one for one in asked or () if one["kind"] == DiskKind.EPHEMERAL]
    return kept or None


def labels(disks: Sequence[BlankDisk]) -> list[str]:
    """What each is called within the guest: ephemeral0, ephemeral1, …, swap."""
    ephemeral = iter(range(len(disks)))
    return ["swap" if disk.kind is DiskKind.SWAP else f"ephemeral{next(ephemeral)}" for disk in disks]


def device_names(disks: Sequence[BlankDisk], *, bus: str = "virtio") -> dict[str, str]:
    """Label -> device."""
    return dict(zip(labels(disks), names_on([disk.bus or bus for disk in disks], root=bus), strict=True))


def names_on(buses: Sequence[str], *, root: str) -> list[str]:
    """Of the disks on these buses, in order.  Some buses share their letters; the first letter on its bus is the root's."""
    taken, names = Counter({DISK_PREFIX[root]: 1}), []
    for prefix in (DISK_PREFIX[bus] for bus in buses):
        names.append(prefix + ascii_lowercase[taken[prefix]])
        taken[prefix] += 1
    return names


def sized(asked: Sequence[BlankDisk], flavor: Mapping[str, Any]) -> list[BlankDisk]:
    """Each with its size: one that says none has all of the flavor's.  InvalidInput if that is more than there is"""
    _must_be_allowed(asked, flavor)
    all_mib = {
        DiskKind.EPHEMERAL: int(flavor.get("ephemeral_gib") or 0) * MIB_PER_GIB,
        DiskKind.SWAP: int(flavor.get("swap_mib") or 0),
    }
    return [one if one.size_mib else one.model_copy(update={"size_mib": all_mib[one.kind]}) for one in asked]


def _must_be_allowed(asked: Sequence[BlankDisk], flavor: Mapping[str, Any]) -> None:
    swaps = [one for one in asked if one.kind is DiskKind.SWAP]
    ephemeral = [one for one in asked if one.kind is DiskKind.EPHEMERAL]
    _must_fit(ephemeral, flavor)
    if len(swaps) > 1:
        raise InvalidInput(f"{INVALID}More than one swap drive requested.")
    if swaps and swaps[0].size_mib > int(flavor.get("swap_mib") or 0):
        raise InvalidInput("Swap drive requested is larger than instance type allows.")


def must_not_shrink(
    flavor: Mapping[str, Any], asked: Collection[Mapping[str, Any]] | None, to: Mapping[str, Any]
) -> None:
    """InvalidInput if a flavor has less ephemeral space than the server's disks."""
    has_mib = sum(one.size_mib for one in disks_of(flavor, asked) if one.kind is DiskKind.EPHEMERAL)
    if has_mib > int(to.get("ephemeral_gib") or 0) * MIB_PER_GIB:
        raise InvalidInput(
            f"Server disk was unable to be resized because: an ephemeral disk can't shrink, and this server has "
            f"{has_mib // MIB_PER_GIB} GiB of them."
        )


def _must_fit(ephemeral: Sequence[BlankDisk], flavor: Mapping[str, Any]) -> None:
    most_mib = int(flavor.get("ephemeral_gib") or 0) * MIB_PER_GIB
    if sum(one.size_mib or most_mib for one in ephemeral) > most_mib or (ephemeral and not most_mib):
        raise InvalidInput(TOO_LARGE)


def _whole(flavor: Mapping[str, Any]) -> list[BlankDisk]:
    """All of a flavor's ephemeral space, in one disk."""
    return [BlankDisk(kind=DiskKind.EPHEMERAL, size_mib=int(flavor.get("ephemeral_gib") or 0) * MIB_PER_GIB)]
