"""What an image and a flavor ask of a guest's hardware is looked at when a server is ordered, rebuilt or resized."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.compute.api.world import World

UNKNOWN = {"hw_disk_bus": "floppy"}


def sentence(answer: Any) -> str:
    return str(next(iter(answer.json().values()))["message"])


def act(world: World, server_id: str, body: Any) -> Any:
    return world.alice.post(f"/v2.1/servers/{server_id}/action", json=body)


def fussy_flavor(world: World, **extra_specs: str) -> None:
    world.flavor("fussy")
    answer = world.admin().post("/v2.1/flavors/fussy/os-extra_specs", json={"extra_specs": extra_specs})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (UNKNOWN, "Invalid image metadata. Error: Field value floppy is invalid"),
        ({"hw_video_ram": "64"}, "The requested amount of video memory 64 is higher than the maximum allowed by flavor 0."),
        ({"hw_machine_type": "virt"}, "Machine type 'virt' is not compatible with image small"),
    ],
)  # fmt: skip
def test_a_server_whose_image_asks_for_what_cannot_be_is_not_made(
    world: World, properties: dict[str, str], said: str
) -> None:
    image = world.gallery.add(properties=properties)

    answer = world.alice.post("/v2.1/servers", json=world.order(imageRef=str(image.id)))

    assert answer.status_code == 400 and said in sentence(answer)
    assert world.alice.get("/v2.1/servers").json()["servers"] == []


def test_a_server_whose_image_and_flavor_disagree_is_not_made(world: World) -> None:
    fussy_flavor(world, **{"hw:sound_model": "ich9"})
    image = world.gallery.add(properties={"hw_sound_model": "ac97"})

    answer = world.alice.post("/v2.1/servers", json=world.order(imageRef=str(image.id), flavorRef="fussy"))

    assert answer.status_code == 400
    assert "Flavor m1.fussy has hw:sound_model extra spec explicitly set to ich9" in sentence(answer)


def test_a_server_starts_from_a_cd_rom_beside_a_disk_of_its_own(world: World) -> None:
    image = world.gallery.add(disk_format="iso")
    world.flavor("diskless", disk=0)

    refused = world.alice.post("/v2.1/servers", json=world.order(imageRef=str(image.id), flavorRef="diskless"))

    assert refused.status_code == 400 and "needs a disk of its own" in sentence(refused)
    assert world.row(world.server(imageRef=str(image.id))).image["disk_format"] == "iso"


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (UNKNOWN, "Invalid image metadata"),
        ({"hw_rescue_device": "lun"}, "Requested rescue device 'lun' is not supported"),
        ({"hw_rescue_bus": "xen"}, "Requested rescue bus 'xen' is not supported"),
        ({"hw_rescue_bus": "ide", "hw_rescue_device": "cdrom"}, "the server's board, q35, has no IDE"),
    ],
)
def test_a_rescue_from_what_cannot_be_plugged_in_is_refused(
    world: World, properties: dict[str, str], said: str
) -> None:
    server_id = world.active_server()
    image = world.gallery.add(properties=properties)

    answer = act(world, server_id, {"rescue": {"rescue_image_ref": str(image.id)}})

    assert answer.status_code == 400 and said in sentence(answer)
    assert world.row(server_id).task_state is None


def test_a_rescue_takes_along_what_its_image_asks_for(world: World) -> None:
    server_id = world.active_server()
    image = world.gallery.add(properties={"hw_rescue_bus": "usb"})

    answer = act(world, server_id, {"rescue": {"rescue_image_ref": str(image.id)}})

    assert answer.status_code == 200, answer.text
    assert world.sagas(server_id)[-1].params["properties"] == {"hw_rescue_bus": "usb"}


def test_the_root_device_is_called_as_its_bus_wants(world: World) -> None:
    image = world.gallery.add(properties={"hw_disk_bus": "scsi"})
    server_id = world.server(imageRef=str(image.id))

    shown = world.admin("2.104").get(f"/v2.1/servers/{server_id}").json()["server"]

    assert shown["OS-EXT-SRV-ATTR:root_device_name"] == "/dev/sda"


def test_an_operator_may_allow_less_than_hosts_can_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(world.kit.settings.allowed_image_properties, "hw_machine_type", ["q35", "pc-q35-*"])
    allowed = world.gallery.add(properties={"hw_machine_type": "pc-q35-7.2"})
    refused = world.gallery.add(properties={"hw_machine_type": "pc"})

    world.server(imageRef=str(allowed.id))
    answer = world.alice.post("/v2.1/servers", json=world.order(imageRef=str(refused.id)))

    assert answer.status_code == 400
    assert "hw_machine_type 'pc' is not allowed in this cloud; it can be q35, pc-q35-*." in sentence(answer)


def test_a_rebuild_from_such_an_image_is_refused_and_changes_nothing(world: World) -> None:
    server_id = world.active_server()
    before, image = world.row(server_id).image_id, world.gallery.add(properties=UNKNOWN)

    answer = act(world, server_id, {"rebuild": {"imageRef": str(image.id)}})

    assert answer.status_code == 400 and "Invalid image metadata" in sentence(answer)
    assert (world.row(server_id).image_id, world.row(server_id).task_state) == (before, None)


def test_a_resize_to_a_flavor_that_the_image_does_not_go_with_is_refused(world: World) -> None:
    image = world.gallery.add(properties={"hw_serial_port_count": "3"})
    server_id = world.active_server(imageRef=str(image.id))
    fussy_flavor(world, **{"hw:serial_port_count": "2"})

    answer = act(world, server_id, {"resize": {"flavorRef": "fussy"}})

    assert answer.status_code == 400 and "Forbidden to exceed flavor value" in sentence(answer)
    assert world.row(server_id).task_state is None


@pytest.mark.parametrize(
    ("specs", "properties", "said"),
    [
        ({"hw:cpu_policy": "shared"}, {"hw_cpu_policy": "dedicated"}, "Image property 'hw_cpu_policy' is not permitted"),
        ({}, {"hw_mem_page_size": "2048"}, "Page size 2048 forbidden against '<empty>'"),
        ({"hw:numa_nodes": "1", "hw:numa_cpus.0": "0"}, {}, "CPU and memory allocation must be provided for all NUMA nodes"),
        ({"quota:disk_read_bytes_sec_max": "10"}, {}, "means nothing without quota:disk_read_bytes_sec"),
    ],
)  # fmt: skip
def test_processors_that_can_not_be_are_refused_when_a_server_is_ordered_or_resized(
    world: World, specs: dict[str, str], properties: dict[str, str], said: str
) -> None:
    fussy_flavor(world, **specs)
    image = world.gallery.add(properties=properties)
    server_id = world.active_server()
    world.become(server_id, image=world.row(server_id).image | {"properties": properties})

    ordered = world.alice.post("/v2.1/servers", json=world.order(imageRef=str(image.id), flavorRef="fussy"))
    resized = act(world, server_id, {"resize": {"flavorRef": "fussy"}})

    assert (ordered.status_code, resized.status_code) == (400, 400)
    assert said in sentence(ordered) and said in sentence(resized)


def test_a_rebuild_does_not_change_what_a_server_has_of_its_host_s_processors(world: World) -> None:
    image, server_id = world.gallery.add(properties={"hw_cpu_policy": "dedicated"}), world.active_server()

    answer = act(world, server_id, {"rebuild": {"imageRef": str(image.id)}})

    assert answer.status_code == 400
    assert "NUMA topology cannot be changed as part of a rebuild" in sentence(answer)
