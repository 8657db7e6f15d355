"""What a new cloud is given through its own public API: flavors, and the guest image.  Done again, it adds what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from cli import guest_image
from cli.cloud_client import CloudClient
from cli.guest_image import GuestImage

CHUNK = 1 << 18
PATCH_MEDIA = "application/openstack-images-v2.1-json-patch"


class Flavor(NamedTuple):
    id: str
    name: str
    vcpus: int
    ram_mib: int
    disk_gib: int


# fmt: off
FLAVORS = (  # the five that every OpenStack user knows, and a small one for trying things out
    Flavor("42", "pileus.nano", 1,    128,   1),
    Flavor("1",  "m1.tiny",     1,    512,   1),
    Flavor("2",  "m1.small",    1,  2_048,  20),
    Flavor("3",  "m1.medium",   2,  4_096,  40),
    Flavor("4",  "m1.large",    4,  8_192,  80),
    Flavor("5",  "m1.xlarge",   8, 16_384, 160),
)
# fmt: on


SIMULATED = Flavor("43", "pileus.simulated", 1, 64, 1)
TRAIT = "trait:CUSTOM_PILEUS_SIMULATED"


def flavors(cloud: CloudClient, *, is_mixed: bool = False) -> None:
    """Make those that are missing.

    `is_mixed`: there are simulated hosts beside a real one.  Then these flavors want a real host, and there is one more
    that wants a simulated one.
    """
    wanted = dict.fromkeys(FLAVORS, "forbidden") | ({SIMULATED: "required"} if is_mixed else {})
    there = {one["id"] for one in cloud.get("/compute/v2.1/flavors?is_public=None")["flavors"]}
    for one, simulated in wanted.items():
        if one.id in there:
            continue
        body = {"id": one.id, "name": one.name, "vcpus": one.vcpus, "ram": one.ram_mib, "disk": one.disk_gib}
        cloud.post("/compute/v2.1/flavors", {"flavor": body})
        if is_mixed:
            cloud.post(f"/compute/v2.1/flavors/{one.id}/os-extra_specs", {"extra_specs": {TRAIT: simulated}})


def image(cloud: CloudClient, built: GuestImage, progress: Callable[[int], None]) -> None:
    """Upload the image unless it is there; `progress` hears of each piece's bytes.  Older builds step back to another name."""
    named = cloud.get(f"/image/v2/images?name={guest_image.NAME}")["images"]
    if any(one["status"] == "active" and one.get("pileus_build") == built.key for one in named):
        return
    new = cloud.post("/image/v2/images", _described(built))
    cloud.put_bytes(f"/image/v2/images/{new['id']}/file", _chunks(built.file, progress), built.file.stat().st_size)
    for one in named:
        if one["status"] == "active":
            renamed = [
                {"op": "replace", "path": "/name", "value": f"{guest_image.NAME}-{one.get('pileus_build', 'old')}"}
            ]
            cloud.patch(f"/image/v2/images/{one['id']}", renamed, PATCH_MEDIA)
        else:  # an upload that a crash cut short
            cloud.delete(f"/image/v2/images/{one['id']}")


def _described(built: GuestImage) -> dict[str, object]:
    return {
        "name": guest_image.NAME,
        "disk_format": "qcow2",
        "container_format": "bare",
        "visibility": "public",
        "min_disk": 1,
        "min_ram": 64,
        "pileus_build": built.key,
    }


def _chunks(file: Path, progress: Callable[[int], None]) -> Iterator[bytes]:
    with file.open("rb") as source:
        while chunk := source.read(CHUNK):
            yield chunk
            progress(len(chunk))
