from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from common.errors import InvalidInput
from services.compute.drivers.images import virtual_size
from tests.unit.compute.drivers.builders import an_image_file


def make(path: Path, *options: str, size: str = "1M") -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), size], check=True)
    return path


def test_the_size_of_a_qcow2_is_that_of_its_disk(tmp_path: Path) -> None:
    assert virtual_size(an_image_file(tmp_path, mib=77), "qcow2") == 77 << 20


def test_the_size_of_a_raw_image_is_that_of_its_file(tmp_path: Path) -> None:
    image = tmp_path / "raw"
    image.write_bytes(bytes(12345))

    assert virtual_size(image, "raw") == 12345


def test_a_qcow2_with_a_backing_file_is_refused(tmp_path: Path) -> None:
    image = make(tmp_path / "evil", "-u", "-b", "/etc/passwd", "-F", "raw")

    with pytest.raises(InvalidInput, match="backing file"):
        virtual_size(image, "qcow2")


def test_a_qcow2_with_an_external_data_file_is_refused(tmp_path: Path) -> None:
    image = make(tmp_path / "evil", "-o", f"data_file={tmp_path}/elsewhere")

    with pytest.raises(InvalidInput, match="another file"):
        virtual_size(image, "qcow2")


def test_a_data_file_named_without_its_feature_bit_is_refused(tmp_path: Path) -> None:
    image = make(tmp_path / "evil", "-o", f"data_file={tmp_path}/elsewhere")
    header = bytearray(image.read_bytes())
    struct.pack_into(">Q", header, 72, 0)
    image.write_bytes(header)

    with pytest.raises(InvalidInput, match="another file"):
        virtual_size(image, "qcow2")


def test_a_raw_image_that_holds_a_qcow2_is_used_as_raw(tmp_path: Path) -> None:
    image = make(tmp_path / "disguised", "-u", "-b", "/etc/passwd", "-F", "raw")

    assert virtual_size(image, "raw") == image.stat().st_size


@pytest.mark.parametrize("data", [b"", b"QFI\xfb", b"#!/bin/sh\n" * 100, b"QFI\xfb" + b"\xff" * 200])
def test_bytes_that_are_no_qcow2_are_refused(tmp_path: Path, data: bytes) -> None:
    image = tmp_path / "image"
    image.write_bytes(data)

    with pytest.raises(InvalidInput):
        virtual_size(image, "qcow2")


@pytest.mark.parametrize("disk_format", ["vmdk", "", "json:"])
def test_other_formats_are_refused(tmp_path: Path, disk_format: str) -> None:
    with pytest.raises(InvalidInput, match="format"):
        virtual_size(an_image_file(tmp_path), disk_format)
