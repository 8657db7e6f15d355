"""Which images a server can start from: disks of formats that hosts open as they are, and nothing wrapped."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from common.errors import InvalidInput
from services.compute.core.images import HELD_AS, FlavorCopy, must_boot
from services.image.client import ImageFacts

SIZE = FlavorCopy(memory_mib=512, root_gib=1)


def an_image(**given: Any) -> ImageFacts:
    facts = {"id": uuid4(), "status": "active", "visibility": "public", "size": 1, "os_hash_value": "0" * 128}
    return ImageFacts.model_validate(facts | {"disk_format": "raw", "container_format": "bare"} | given)


@pytest.mark.parametrize("disk_format", ["qcow2", "raw", "gpt", "iso"])
def test_a_server_starts_from_what_hosts_open_as_it_is(disk_format: str) -> None:
    must_boot(an_image(disk_format=disk_format), SIZE)

    assert HELD_AS[disk_format] in ("qcow2", "raw", "iso")


@pytest.mark.parametrize("disk_format", ["vmdk", "vdi", "vhd", "vhdx", "ami", "ari", "aki", "ploop", None])
def test_an_image_of_another_format_is_refused_with_its_name(disk_format: str | None) -> None:
    with pytest.raises(InvalidInput, match=f"'{disk_format}'"):
        must_boot(an_image(disk_format=disk_format), SIZE)


@pytest.mark.parametrize("container_format", ["ova", "ovf", "docker", "compressed"])
def test_an_image_in_a_container_is_refused_with_its_name(container_format: str) -> None:
    with pytest.raises(InvalidInput, match=f"'{container_format}'"):
        must_boot(an_image(container_format=container_format), SIZE)


def test_beside_a_cd_rom_a_server_needs_a_disk() -> None:
    with pytest.raises(InvalidInput, match="needs a disk of its own"):
        must_boot(an_image(disk_format="iso"), FlavorCopy(memory_mib=512, root_gib=0))


@pytest.mark.parametrize("part", ["kernel_id", "ramdisk_id"])
def test_an_image_with_a_kernel_beside_it_is_refused_rather_than_started_without(part: str) -> None:
    must_boot(an_image(properties={part: ""}), SIZE)

    with pytest.raises(InvalidInput, match=part):
        must_boot(an_image(properties={part: "a0e4475e-22fb-4d30-add2-bbb808cf797a"}), SIZE)
