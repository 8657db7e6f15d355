"""From a server's row to what its host is told of the guest."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from services.compute.core import config_drive
from services.compute.core.guests import BlankDisk, GuestImage, GuestSpec
from services.compute.core.hardware import hardware_of_copies
from services.compute.core.hardware.devices import root_bus
from services.compute.core.injected_files import InjectedFile
from services.compute.core.local_disks import disks_of
from services.compute.db.tables import ServerRow
from services.compute.sagas.kit import Kit, Rules


def image_of(server: ServerRow) -> GuestImage:
    image = server.image
    return GuestImage(
        id=server.image_id or UUID(int=0),
        sha512=image["sha512"],
        size_bytes=image["size_bytes"],
        disk_format=image["disk_format"],
    )


def disks_for(
    server: ServerRow, rules: Rules, *, flavor: Mapping[str, Any], asked: list[Mapping[str, Any]] | None
) -> tuple[BlankDisk, ...]:
    """What it has besides its root disk, with this flavor.  Like Nova, by default what its image's system reads best."""
    is_windows = str((server.image.get("properties") or {}).get("os_type")).lower() == "windows"
    by_default = rules.ephemeral_format or ("vfat" if is_windows else "ext4")
    return disks_of(flavor, asked, file_system=by_default)


def spec_of(server: ServerRow, kit: Kit, *, build: UUID) -> GuestSpec:
    """`build`: the saga that orders the guest.  May ask others for vendor data: not within a transaction.  Unavailable"""
    flavor, drive = server.flavor, _drive(server, kit)
    return GuestSpec(
        server_id=server.id,
        name=server.name,
        project_id=server.project_id,
        user_id=server.user_id,
        flavor=flavor["name"],
        vcpus=flavor["vcpus"],
        memory_mib=flavor["memory_mib"],
        root_gib=flavor["root_gib"],
        disks=disks_for(server, kit.rules, flavor=flavor, asked=server.local_disks),
        image=image_of(server),
        hardware=hardware_of_copies(server.image, flavor),
        config_drive=None if drive is None else {name: one for name, one in drive.items() if isinstance(one, str)},
        config_drive_bytes={
            name: base64.b64encode(one).decode() for name, one in (drive or {}).items() if isinstance(one, bytes)
        },
        build=str(build),
    )


def _drive(server: ServerRow, kit: Kit) -> dict[str, str | bytes] | None:
    if not needs_drive(server, kit.rules):
        return None
    identity = identity_of(server)
    return config_drive.files(identity, kit.vendor.told(config_drive.about(identity)))


def needs_drive(server: ServerRow, rules: Rules) -> bool:
    """Asked for, or the operator's rule: without a network service nothing else tells a guest who it is."""
    return server.has_config_drive or rules.config_drive_always


def identity_of(server: ServerRow) -> config_drive.Identity:
    return config_drive.Identity(
        server_id=server.id,
        name=server.name,
        hostname=server.hostname,
        project_id=server.project_id,
        zone=server.zone or "",
        launch_index=server.launch_index,
        flavor=server.flavor["name"],
        reservation_id=server.reservation_id,
        image_id=server.image_id,
        key_name=server.key_name,
        public_key=server.public_key,
        user_data=server.user_data,
        admin_password=server.admin_password,
        created_at=server.created_at,
        attributes=server.attributes,
        disks=disks_of(server.flavor, server.local_disks),
        files=tuple(InjectedFile.model_validate(one) for one in server.files or ()),
        disk_bus=root_bus(server.image.get("properties") or {}),
    )
