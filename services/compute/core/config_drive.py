"""What a guest's config drive holds, in OpenStack's and EC2's form.  Source: Nova user guide, "Metadata"; cloud-init."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from services.compute.core.guests import BlankDisk
from services.compute.core.hardware.devices import DISK_PREFIX
from services.compute.core.injected_files import InjectedFile
from services.compute.core.local_disks import device_names

# Each version that a guest may ask for by name; what appeared later is left out of the older ones.
VERSIONS = ("2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22",
            "2018-08-27", "2020-10-14", "latest")  # fmt: skip
EC2_VERSIONS = ("2009-04-04", "latest")

VENDOR_DATA_SINCE, NETWORK_DATA_SINCE, VENDOR_DATA2_SINCE = "2013-10-17", "2015-10-15", "2016-10-06"
# fmt: off
SINCE = {  # parts of meta_data.json that came later
    "admin_pass": "2013-04-04", "random_seed": "2013-04-04", "project_id": "2015-10-15", "devices": "2016-06-30",
    "dedicated_cpus": "2020-10-14",
}
# fmt: on
SEED_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """All that a guest learns of itself."""

    server_id: UUID
    name: str
    hostname: str
    project_id: str
    zone: str
    launch_index: int
    flavor: str
    reservation_id: str
    image_id: UUID | None
    key_name: str | None
    public_key: str | None
    user_data: str | None  # base64, as given
    admin_password: str | None
    created_at: datetime
    attributes: Mapping[str, str] = field(default_factory=dict)
    disks: tuple[BlankDisk, ...] = ()  # besides the root
    disk_bus: str = "virtio"  # of the root disk
    files: tuple[InjectedFile, ...] = ()  # that its owner wants in it


@dataclass(frozen=True, slots=True)
class VendorData:
    """What the cloud's operator has to say to every guest: the same to all, and by name what was asked for this one."""

    static: Any = field(default_factory=dict)
    dynamic: Mapping[str, Any] = field(default_factory=dict)


def about(identity: Identity) -> dict[str, Any]:
    """What those are told who are asked for a guest's vendor data."""
    return {
        "project-id": identity.project_id,
        "instance-id": str(identity.server_id),
        "image-id": str(identity.image_id) if identity.image_id else None,
        "user-data": identity.user_data,
        "hostname": identity.hostname,
        "metadata": dict(identity.attributes),
        "boot-roles": "",
    }


def files(identity: Identity, vendor: VendorData | None = None) -> dict[str, str | bytes]:
    """Path inside the drive -> text; user data are bytes, as they were given."""
    drive: dict[str, str | bytes] = {}
    told, seed = vendor or VendorData(), base64.b64encode(secrets.token_bytes(SEED_BYTES)).decode()
    for version in VERSIONS:
        found = _openstack(identity, version, told, seed)
        drive |= {f"openstack/{version}/{name}": content for name, content in found.items()}
    drive |= {f"openstack{_place(number)}": file.content() for number, file in enumerate(identity.files)}
    for version in EC2_VERSIONS:
        drive |= {f"ec2/{version}/{name}": text for name, text in _ec2(identity).items()}
    return drive


def _openstack(identity: Identity, version: str, vendor: VendorData, seed: str) -> dict[str, str | bytes]:
    known = _meta_data(identity) | {"random_seed": seed}
    kept = {name: value for name, value in known.items() if SINCE.get(name, "") <= version}
    found: dict[str, str | bytes] = {"meta_data.json": json.dumps(kept, sort_keys=True)}
    if (user_data := _user_data(identity)) is not None:
        found["user_data"] = user_data
    if version >= VENDOR_DATA_SINCE:
        found["vendor_data.json"] = json.dumps(vendor.static, sort_keys=True)
    if version >= NETWORK_DATA_SINCE:
        found["network_data.json"] = json.dumps({"links": [], "networks": [], "services": []})
    if version >= VENDOR_DATA2_SINCE:
        found["vendor_data2.json"] = json.dumps({"static": vendor.static, **vendor.dynamic}, sort_keys=True)
    return found


def _meta_data(identity: Identity) -> dict[str, Any]:
    known: dict[str, Any] = {
        "uuid": str(identity.server_id),
        "name": identity.name,
        "hostname": identity.hostname,
        "availability_zone": identity.zone,
        "launch_index": identity.launch_index,
        "project_id": identity.project_id,
        "devices": _tagged(identity),
        "dedicated_cpus": [],
    }
    if identity.files:
        known["files"] = [
            {"path": file.path, "content_path": _place(number)} for number, file in enumerate(identity.files)
        ]
    if identity.attributes:
        known["meta"] = dict(identity.attributes)
    if identity.admin_password:
        known["admin_pass"] = identity.admin_password
    if identity.key_name and identity.public_key:
        known["public_keys"] = {identity.key_name: identity.public_key}
        known["keys"] = [{"name": identity.key_name, "type": "ssh", "data": identity.public_key}]
    return known


def _place(number: int) -> str:
    """Where in the drive, below `openstack`, a file's content is: never under the name that its owner chose."""
    return f"/content/{number:04}"


def _ec2(identity: Identity) -> dict[str, str | bytes]:
    root = f"{DISK_PREFIX[identity.disk_bus]}a"
    known: dict[str, Any] = {
        "ami-id": _ec2_id("ami", identity.image_id) if identity.image_id else "ami-00000000",
        "ami-launch-index": identity.launch_index,
        "block-device-mapping": {"ami": root, "root": f"/dev/{root}"} | _devices(identity),
        "hostname": identity.hostname,
        "instance-action": "none",
        "instance-id": _ec2_id("i", identity.server_id),
        "instance-type": identity.flavor,
        "local-hostname": identity.hostname,
        "placement": {"availability-zone": identity.zone},
        "public-hostname": identity.hostname,
        "reservation-id": identity.reservation_id,
        "security-groups": [],
    }
    if identity.key_name and identity.public_key:
        known["public-keys"] = {"0": {"_name": f"0={identity.key_name}", "openssh-key": identity.public_key}}
    found: dict[str, str | bytes] = {"meta-data.json": json.dumps(known, sort_keys=True)}
    if (user_data := _user_data(identity)) is not None:
        found["user-data"] = user_data
    return found


def _devices(identity: Identity) -> dict[str, str]:
    """Label -> where the guest finds the disk: from this cloud-init knows what to mount, and what to swap to."""
    return {label: f"/dev/{name}" for label, name in device_names(identity.disks, bus=identity.disk_bus).items()}


def _tagged(identity: Identity) -> list[dict[str, Any]]:
    """Those that their owner gave a tag."""
    found = zip(_devices(identity).items(), identity.disks, strict=True)
    return [
        {"type": "disk", "bus": "none", "address": "none", "serial": label, "path": path, "tags": [disk.tag]}
        for (label, path), disk in found
        if disk.tag
    ]


def _ec2_id(kind: str, of: UUID) -> str:
    """EC2's short form; ours needs no table, being the id's first digits."""
    return f"{kind}-{of.hex[:8]}"


def _user_data(identity: Identity) -> bytes | None:
    """Often a script, or compressed: whatever it is, it arrives as it is."""
    if identity.user_data is None:
        return None
    try:
        return base64.b64decode(identity.user_data)
    except binascii.Error:
        return identity.user_data.encode()
