"""Which disks a server has besides its root."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from common.errors import InvalidInput
from services.compute.core.config_drive import Identity, files
from services.compute.core.guests import BlankDisk, DiskKind
from services.compute.core.local_disks import after_resize, device_names, disks_of, must_not_shrink, sized


def a_flavor(ephemeral_gib: int = 0, swap_mib: int = 0) -> dict[str, Any]:
    return {"ephemeral_gib": ephemeral_gib, "swap_mib": swap_mib}


def ephemeral(gib: int, **more: Any) -> BlankDisk:
    return BlankDisk(kind=DiskKind.EPHEMERAL, size_mib=gib * 1024, **more)


def swap(mib: int) -> BlankDisk:
    return BlankDisk(kind=DiskKind.SWAP, size_mib=mib)


def stored(*disks: BlankDisk) -> list[dict[str, Any]]:
    return [disk.model_dump(mode="json") for disk in disks]


# fmt: off
HAVE = [
    # flavor,            named by the request,                       what the server has: GiB, MiB
    (a_flavor(0, 0),     None,                                       []),
    (a_flavor(3, 0),     None,                                       [ephemeral(3)]),
    (a_flavor(0, 512),   None,                                       [swap(512)]),
    (a_flavor(3, 512),   None,                                       [ephemeral(3), swap(512)]),
    (a_flavor(3, 512),   stored(ephemeral(1), ephemeral(2)),         [ephemeral(1), ephemeral(2), swap(512)]),
    (a_flavor(3, 512),   stored(swap(64)),                           [ephemeral(3), swap(64)]),
    (a_flavor(3, 512),   stored(swap(64), ephemeral(1)),             [ephemeral(1), swap(64)]),
]
# fmt: on


@pytest.mark.parametrize(("flavor", "asked", "expected"), HAVE)
def test_a_server_has_what_its_flavor_allows_split_as_it_was_asked_for(
    flavor: dict[str, Any], asked: list[dict[str, Any]] | None, expected: list[BlankDisk]
) -> None:
    found = disks_of(flavor, asked)

    assert [(one.kind, one.size_mib) for one in found] == [(one.kind, one.size_mib) for one in expected]


def test_an_ephemeral_disk_holds_what_was_asked_for_or_the_default() -> None:
    asked = stored(ephemeral(1, file_system="xfs"), ephemeral(1))

    found = disks_of(a_flavor(2), asked, file_system="vfat")

    assert [one.file_system for one in found] == ["xfs", "vfat"]


def test_devices_follow_the_root_with_swap_last() -> None:
    disks = disks_of(a_flavor(2, 64), stored(ephemeral(1), ephemeral(1)))

    assert device_names(disks) == {"ephemeral0": "vdb", "ephemeral1": "vdc", "swap": "vdd"}


def test_a_disk_without_a_size_has_all_of_its_flavor_s() -> None:
    assert [one.size_mib for one in sized([ephemeral(0), swap(0)], a_flavor(2, 64))] == [2048, 64]


# fmt: off
TOO_MUCH = [
    # named by the request,           flavor,          said
    ([ephemeral(3)],                  a_flavor(2),     "Ephemeral disks requested are larger than the instance type allows."),
    ([ephemeral(1), ephemeral(0)],    a_flavor(2),     "Ephemeral disks requested are larger than the instance type allows."),
    ([ephemeral(0)],                  a_flavor(0),     "Ephemeral disks requested are larger than the instance type allows."),
    ([swap(65)],                      a_flavor(0, 64), "Swap drive requested is larger than instance type allows."),
    ([swap(1), swap(1)],              a_flavor(0, 64), "More than one swap drive requested."),
]
# fmt: on


@pytest.mark.parametrize(("asked", "flavor", "said"), TOO_MUCH)
def test_more_than_a_flavor_has_is_refused(asked: list[BlankDisk], flavor: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        sized(asked, flavor)


def test_ephemeral_space_does_not_shrink_and_swap_becomes_the_new_flavor_s() -> None:
    asked = stored(ephemeral(1), swap(64))

    must_not_shrink(a_flavor(2, 64), asked, a_flavor(1))
    with pytest.raises(InvalidInput, match="can't shrink"):
        must_not_shrink(a_flavor(2), None, a_flavor(1))

    assert [one.size_mib for one in disks_of(a_flavor(1, 32), after_resize(asked))] == [1024, 32]
    assert after_resize(stored(swap(64))) is after_resize(None) is None


@pytest.mark.parametrize(
    ("root", "buses", "names"),
    [
        ("virtio", [None, None], ["vdb", "vdc"]),
        ("virtio", ["scsi", None], ["sda", "vdb"]),
        ("virtio", ["scsi", "sata"], ["sda", "sdb"]),
        ("scsi", [None, "usb"], ["sdb", "sdc"]),
        ("sata", ["virtio", None], ["vda", "sdb"]),
        ("ide", [None, "virtio"], ["hdb", "vda"]),
    ],
)
def test_a_disk_s_name_is_the_next_of_its_bus(root: str, buses: list[str | None], names: list[str]) -> None:
    disks = [ephemeral(1).model_copy(update={"bus": bus}) for bus in buses]

    assert list(device_names(disks, bus=root).values()) == names


def test_a_guest_reads_its_disks_and_their_tags_on_its_config_drive() -> None:
    disks = (ephemeral(1, file_system="ext4", tag="logs"), swap(64))
    identity = Identity(
        server_id=uuid4(), name="web", hostname="web", project_id="p", zone="nova", launch_index=0, flavor="m1.tiny",
        reservation_id="r-1", image_id=None, key_name=None, public_key=None, user_data=None, admin_password=None,
        created_at=datetime.now(UTC), disks=disks,
    )  # fmt: skip

    drive = files(identity)

    assert json.loads(drive["ec2/latest/meta-data.json"])["block-device-mapping"] == {
        "ami": "vda", "root": "/dev/vda", "ephemeral0": "/dev/vdb", "swap": "/dev/vdc",
    }  # fmt: skip
    assert json.loads(drive["openstack/latest/meta_data.json"])["devices"] == [
        {"type": "disk", "bus": "none", "address": "none", "serial": "ephemeral0", "path": "/dev/vdb", "tags": ["logs"]}
    ]
