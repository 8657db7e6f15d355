"""A config drive as our hosts write it, read by the program that most guests have: Debian's cloud-init."""

from __future__ import annotations

import base64
import gzip
import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from services.compute.core.config_drive import Identity, VendorData, files
from services.compute.core.injected_files import InjectedFile
from services.compute.drivers.libvirt.config_drives import build_config_drive
from tests.conftest import missing
from tests.harness.cloud_init import first_boot

SERVER = uuid4()
BROUGHT = b"by the request"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me"


def a_drive(folder: Path, form: str, user_data: bytes, server_id: UUID = SERVER) -> Path:
    identity = Identity(
        server_id=server_id,
        name="web",
        hostname="told-by-drive",
        project_id="p",
        zone="nova",
        launch_index=0,
        flavor="m1.tiny",
        reservation_id="r-12345678",
        image_id=uuid4(),
        key_name="mine",
        public_key=KEY,
        user_data=base64.b64encode(user_data).decode(),
        admin_password="secret",
        created_at=datetime.now(UTC),
        files=(InjectedFile(path="/etc/brought-along", contents=base64.b64encode(BROUGHT).decode()),),
    )
    vendor = VendorData(
        {"cloud-init": "#cloud-config\nwrite_files:\n- {path: /etc/from-vendor, content: by the cloud}\n"}
    )
    build_config_drive(files(identity, vendor), folder / "drive", form=form)
    return folder / "drive"


@pytest.mark.parametrize("form", ["iso9660", "vfat"])
def test_cloud_init_takes_name_key_user_data_and_vendor_data_from_a_config_drive(tmp_path: Path, form: str) -> None:
    if os.geteuid() != 0:
        missing("root, for a file system of its own")
    wanted = gzip.compress(b"#cloud-config\nwrite_files:\n- {path: /etc/from-user, content: by its owner}\n")

    with first_boot(a_drive(tmp_path, form, wanted)) as guest:
        assert guest.read("/hostname-now").strip() == "told-by-drive"
        assert guest.read("/etc/hostname").strip() == "told-by-drive"
        assert guest.read("/var/lib/cloud/data/instance-id").strip() == str(SERVER)
        assert "DataSourceConfigDrive" in guest.read(f"/var/lib/cloud/instances/{SERVER}/datasource")
        assert guest.read("/etc/brought-along") == BROUGHT.decode()
        assert guest.read("/etc/from-user") == "by its owner"
        assert "by the cloud" in guest.read(f"/var/lib/cloud/instances/{SERVER}/vendor-data.txt")
        assert KEY in guest.read("/home/cumulus/.ssh/authorized_keys")
