"""Disks that a request names: its image's, ephemeral ones, swap."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.compute.api.world import World

EPHEMERAL = {"source_type": "blank", "destination_type": "local", "boot_index": -1, "delete_on_termination": True}
SWAP = EPHEMERAL | {"guest_format": "swap"}


def with_root(world: World, *disks: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """As the openstack command sends it for --image with --ephemeral or --swap."""
    image_id = str(world.gallery.add().id)
    root = {"uuid": image_id, "source_type": "image", "destination_type": "local", "boot_index": 0}
    order = {"imageRef": image_id, "flavorRef": "roomy", "block_device_mapping_v2": [root | changes, *disks]}
    return world.order(**order)


@pytest.fixture(autouse=True)
def roomy(world: World) -> None:
    world.flavor("roomy", **{"swap": 512, "OS-FLV-EXT-DATA:ephemeral": 3})


def test_a_server_keeps_the_disks_that_its_request_named(world: World) -> None:
    order = with_root(
        world,
        EPHEMERAL | {"volume_size": "1", "guest_format": "xfs", "tag": "logs", "disk_bus": "scsi"},
        SWAP | {"volume_size": 64},
    )

    answer = world.at("2.104").post("/v2.1/servers", json=order | {"server": order["server"] | {"networks": "none"}})

    assert answer.status_code == 202, answer.text
    assert world.row(answer.json()["server"]["id"]).local_disks == [
        {"kind": "ephemeral", "size_mib": 1024, "file_system": "xfs", "tag": "logs", "bus": "scsi"},
        {"kind": "swap", "size_mib": 64, "file_system": "", "tag": None, "bus": None},
    ]


def test_a_request_that_names_none_leaves_it_to_the_flavor(world: World) -> None:
    plain = world.server(flavorRef="roomy")
    whole = world.alice.post("/v2.1/servers", json=with_root(world, EPHEMERAL)).json()["server"]["id"]

    assert world.row(plain).local_disks is None
    assert [disk["size_mib"] for disk in world.row(whole).local_disks] == [3072]


INVALID = "Block Device Mapping is Invalid: "
SEQUENCE = f"{INVALID}Boot sequence for the instance and image/block device mapping combination is not valid."
# fmt: off
REFUSED: list[tuple[list[dict[str, Any]], dict[str, Any], str]] = [
    # disks besides the root,              changes of the root's,         said
    ([EPHEMERAL | {"volume_size": 4}],     {},                            "Ephemeral disks requested are larger"),
    ([SWAP | {"volume_size": 513}],        {},                            "Swap drive requested is larger"),
    ([SWAP, SWAP],                         {},                            f"{INVALID}More than one swap drive requested."),
    ([EPHEMERAL | {"volume_size": 1}] * 3, {},                            f"{INVALID}You specified more local devices"),
    ([EPHEMERAL | {"guest_format": "ntfs"}], {},                          f"{INVALID}ntfs format is not supported"),
    ([EPHEMERAL | {"device_type": "cdrom"}], {},                          f"{INVALID}a disk on the host is no 'cdrom'."),
    ([EPHEMERAL | {"disk_bus": "fdc"}],    {},                            "Requested hardware 'fdc' is not supported"),
    ([EPHEMERAL | {"disk_bus": "ide"}],    {},                            "Requested hardware 'ide' is not supported"),
    ([EPHEMERAL],                          {"disk_bus": "scsi"},          "a root disk is where its image's hw_disk_bus says"),
    ([EPHEMERAL | {"source_type": None}],  {},                            "source_type"),
    ([EPHEMERAL | {"boot_index": 0}],      {},                            SEQUENCE),
    ([EPHEMERAL | {"boot_index": 5}],      {},                            SEQUENCE),
    ([EPHEMERAL | {"boot_index": "x"}],    {},                            "'x' does not match '^-?[0-9]+$'"),
    ([EPHEMERAL | {"volume_size": "big"}], {},                            "does not match"),
    ([EPHEMERAL | {"volume_size": 2**31}], {},                            "volume_size"),
    ([EPHEMERAL | {"destination_type": "volume"}], {},                    "no volume service"),
    ([],                                   {"boot_index": 1},             f"{INVALID}Mapping image to local is not supported."),
    ([],                                   {"uuid": None},                "Value: None. None is not of type 'string'"),
    ([],                                   {"uuid": "a0e4475e-22fb-4d30-add2-bbb808cf797a"}, "comes from the image in imageRef"),
]
# fmt: on


@pytest.mark.parametrize(("disks", "root", "said"), REFUSED)
def test_disks_that_cannot_be_are_refused_and_leave_nothing(
    world: World, disks: list[dict[str, Any]], root: dict[str, Any], said: str
) -> None:
    answer = world.alice.post("/v2.1/servers", json=with_root(world, *disks, **root))

    assert answer.status_code == 400 and said in answer.json()["badRequest"]["message"], answer.text
    assert world.alice.get("/v2.1/servers").json() == {"servers": []}


def test_a_disk_from_an_image_says_which(world: World) -> None:
    body = with_root(world)
    del body["server"]["block_device_mapping_v2"][0]["uuid"]

    answer = world.alice.post("/v2.1/servers", json=body)

    assert answer.status_code == 400 and answer.json()["badRequest"]["message"] == f"{INVALID}Missing device UUID."


def test_a_server_without_an_image_starts_from_no_blank_disk(world: World) -> None:
    order = world.order(block_device_mapping_v2=[EPHEMERAL | {"boot_index": 0}])
    del order["server"]["imageRef"]

    answer = world.alice.post("/v2.1/servers", json=order)

    assert answer.json() == {"badRequest": {"code": 400, "message": SEQUENCE}}


def test_a_resize_to_less_ephemeral_space_is_refused(world: World) -> None:
    server_id = world.active_server(flavorRef="roomy")
    world.flavor("narrow", **{"OS-FLV-EXT-DATA:ephemeral": 2})

    answer = world.alice.post(f"/v2.1/servers/{server_id}/action", json={"resize": {"flavorRef": "narrow"}})

    assert answer.status_code == 400 and "ephemeral disk can't shrink" in answer.json()["badRequest"]["message"]
    assert world.row(server_id).task_state is None
