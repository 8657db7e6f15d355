from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import pytest

from cli import guest_image
from services.compute.drivers.libvirt import LibvirtHypervisor
from tests.harness.libvirt_node import LibvirtNode
from tests.unit.compute.drivers.builders import a_place, an_image_file, libvirt_options


@pytest.fixture
def place() -> Iterator[Path]:
    with a_place() as path:
        yield path


@pytest.fixture
def image(place: Path) -> Path:
    return an_image_file(place)


@pytest.fixture
def bootable(place: Path) -> Path:
    """A copy of the guest image that clouds come with."""
    path = copyfile(guest_image.ensure(lambda _: None).file, place / "bootable")
    path.chmod(0o444)
    return path


@pytest.fixture
def node(place: Path) -> Iterator[LibvirtNode]:
    node = LibvirtNode(place)
    yield node
    node.stop()


@pytest.fixture
def hypervisor(place: Path, libvirtd: None) -> Iterator[LibvirtHypervisor]:
    """Of the machine's own libvirtd."""
    hypervisor = LibvirtHypervisor(libvirt_options(place))
    yield hypervisor
    for server_id in {found.server_id for found in hypervisor.guests()} | hypervisor.leftovers():
        hypervisor.destroy(server_id)
    hypervisor.retire()
    hypervisor.close()
