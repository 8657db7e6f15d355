"""What a guest's config drive holds, in OpenStack's and EC2's form.  Source: Nova user guide, "Metadata"; cloud-init."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

# Each version that a guest may ask for by name; what appeared later is left out of the older ones.
VERSIONS = ("2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22",
            "2018-08-27", "2020-10-14", "latest")  # fmt: skip
EC2_VERSIONS = ("2009-04-04", "latest")

VENDOR_DATA_SINCE, NETWORK_DATA_SINCE, VENDOR_DATA2_SINCE = "2013-10-17", "2015-10-15", "2016-10-06"


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


def files(identity: Identity) -> dict[str, str]:
    """Path inside the drive -> text.  A user data that is not text goes in as base64."""
    drive: dict[str, str] = {}
    for version in VERSIONS:
        drive |= {f"openstack/{version}/{name}": text for name, text in _openstack(identity, version).items()}
    for version in EC2_VERSIONS:
        drive |= {f"ec2/{version}/{name}": text for name, text in _ec2(identity).items()}
    return drive


def _openstack(identity: Identity, version: str) -> dict[str, str]:
    found = {"meta_data.json": json.dumps(_meta_data(identity), sort_keys=True)}
    if (user_data := _user_data(identity)) is not None:
        found["user_data"] = user_data
    if version >= VENDOR_DATA_SINCE:
        found["vendor_data.json"] = "{}"
    if version >= NETWORK_DATA_SINCE:
        found["network_data.json"] = json.dumps({"links": [], "networks": [], "services": []})
    if version >= VENDOR_DATA2_SINCE:
        found["vendor_data2.json"] = json.dumps({"static": {}})
    return found


def _meta_data(identity: Identity) -> dict[str, Any]:
    known: dict[str, Any] = {
        "uuid": str(identity.server_id),
        "name": identity.name,
        "hostname": identity.hostname,
        "availability_zone": identity.zone,
        "launch_index": identity.launch_index,
        "project_id": identity.project_id,
        "devices": [],
        "dedicated_cpus": [],
    }
    if identity.attributes:
        known["meta"] = dict(identity.attributes)
    if identity.admin_password:
        known["admin_pass"] = identity.admin_password
    if identity.key_name and identity.public_key:
        known["public_keys"] = {identity.key_name: identity.public_key}
        known["keys"] = [{"name": identity.key_name, "type": "ssh", "data": identity.public_key}]
    return known


def _ec2(identity: Identity) -> dict[str, str]:
    known: dict[str, Any] = {
        "ami-id": _ec2_id("ami", identity.image_id) if identity.image_id else "ami-00000000",
        "ami-launch-index": identity.launch_index,
        "block-device-mapping": {"ami": "vda", "root": "/dev/vda"},
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
    found = {"meta-data.json": json.dumps(known, sort_keys=True)}
    if (user_data := _user_data(identity)) is not None:
        found["user-data"] = user_data
    return found


def _ec2_id(kind: str, of: UUID) -> str:
    """EC2's short form; ours needs no table, being the id's first digits."""
    return f"{kind}-{of.hex[:8]}"


def _user_data(identity: Identity) -> str | None:
    if identity.user_data is None:
        return None
    try:
        return base64.b64decode(identity.user_data).decode()
    except (binascii.Error, UnicodeDecodeError):
        return identity.user_data
