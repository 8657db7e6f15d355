"""A host whose disk is full, for real: what does not fit is refused plainly and leaves nothing, and goes when there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest

from common.errors import HostFailed
from services.compute.core.guests import PowerState, Quiesce
from services.compute.drivers.libvirt import LibvirtHypervisor
from tests.conftest import missing
from tests.harness.clouds import run
from tests.unit.compute.drivers.builders import a_place, a_spec, an_image_file

MIB = 1 << 20


@pytest.fixture
def place() -> Iterator[Path]:
    """Where guests' files have a disk of 64 MiB of their own."""
    if os.geteuid() != 0:
        missing("root, who may mount a disk")
    with a_place() as place:
        guests = place / "guests"
        guests.mkdir(mode=0o711)
        run("mount", "-t", "tmpfs", "-o", f"size={64 * MIB},mode=711", "small", str(guests))
        try:
            yield place
        finally:
            run("umount", str(guests))


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for block in (MIB, 4096, 1):
            while fits(file.fileno(), block):
                pass
    return ballast


def fits(file: int, block: int) -> bool:
    try:
        return os.write(file, bytes(block)) == block
    except OSError:
        return False


def test_a_guest_that_does_not_fit_on_its_host_is_refused_plainly_and_leaves_nothing(
    hypervisor: LibvirtHypervisor, place: Path
) -> None:
    image, spec = an_image_file(place), a_spec(config_drive={"openstack/latest/meta_data.json": "{}"})
    hypervisor.facts()
    ballast = fill(place / "guests")

    with pytest.raises(HostFailed) as refused:
        hypervisor.create(spec, image)
    hypervisor.destroy(spec.server_id)
    left = (hypervisor.guests(), hypervisor.leftovers())
    ballast.unlink()

    assert refused.value.message == "The disk of the host is full: no space left on device"
    assert left == ([], set())
    assert hypervisor.create(spec, image) is PowerState.RUNNING


def test_a_copy_that_does_not_fit_is_refused_plainly_and_its_guest_goes_on(
    hypervisor: LibvirtHypervisor, place: Path
) -> None:
    spec = a_spec()
    hypervisor.create(spec, an_image_file(place))
    ballast = fill(place / "guests")

    with pytest.raises(HostFailed) as refused:
        hypervisor.copy_disk(spec.server_id, uuid4(), quiesce=Quiesce.NO, over=Event())
    ballast.unlink()

    assert "full" in refused.value.message or "room" in refused.value.message
    assert hypervisor.copied() == set()
    assert hypervisor.state(spec.server_id) is PowerState.RUNNING
