"""From a server's row to what its host is told of the guest."""

from __future__ import annotations

from uuid import UUID

from services.compute.core import config_drive
from services.compute.core.guests import GuestImage, GuestSpec
from services.compute.db.tables import ServerRow
from services.compute.sagas.kit import Rules


def image_of(server: ServerRow) -> GuestImage:
    image = server.image
    return GuestImage(
        id=server.image_id or UUID(int=0),
        sha512=image["sha512"],
        size_bytes=image["size_bytes"],
        disk_format=image["disk_format"],
    )


def spec_of(server: ServerRow, rules: Rules, *, build: UUID) -> GuestSpec:
    """`build`: the saga that orders the guest."""
    flavor = server.flavor
    return GuestSpec(
        server_id=server.id,
        name=server.name,
        project_id=server.project_id,
        user_id=server.user_id,
        flavor=flavor["name"],
        vcpus=flavor["vcpus"],
        memory_mib=flavor["memory_mib"],
        root_gib=flavor["root_gib"],
        image=image_of(server),
        config_drive=config_drive.files(identity_of(server)) if needs_drive(server, rules) else None,
        build=str(build),
    )


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
    )
