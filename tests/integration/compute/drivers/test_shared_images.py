"""The cache of a host on a file system that shares blocks: an image of another account's is cloned, not copied."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.compute.drivers.images import ImageCache
from tests.conftest import missing
from tests.harness.clouds import run
from tests.unit.compute.drivers.builders import an_image

MIB = 1 << 20
DATA = os.urandom(32 * MIB)
NOBODY = 65534


@pytest.fixture
def sharing(tmp_path: Path) -> Iterator[Path]:
    """XFS in a file."""
    if os.geteuid() != 0:
        missing("the right to mount a file system")
    disk, place = tmp_path / "disk", tmp_path / "xfs"
    with disk.open("wb") as sparse:
        sparse.truncate(400 * MIB)
    run("mkfs.xfs", "-q", "-m", "reflink=1", str(disk))
    place.mkdir()
    run("mount", "-o", "loop", str(disk), str(place))
    try:
        yield place
    finally:
        run("umount", "--lazy", str(place))


def used(place: Path) -> int:
    os.sync()
    found = os.statvfs(place)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def test_an_image_of_another_account_shares_its_blocks_and_is_a_file_of_its_own(sharing: Path) -> None:
    local, cache = sharing / "stored", ImageCache(sharing / "cache")
    local.write_bytes(DATA)
    os.chown(local, NOBODY, NOBODY)
    before = used(sharing)

    path = cache.ensure(an_image(DATA), lambda: pytest.fail("fetched"), local=local)

    assert path.read_bytes() == DATA
    assert not path.samefile(local)
    assert used(sharing) - before < 4 * MIB
    local.write_bytes(b"changed by its owner")
    assert path.read_bytes() == DATA
