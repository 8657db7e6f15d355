"""What an image that is made of a server says of itself.  Words: Compute API reference, "createImage", and Nova's conventions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol
from uuid import UUID

from common.errors import InvalidInput
from services.compute.core.guests import Quiesce

NEVER_INHERITED = frozenset(
    {
        *("cache_in_nova", "bittorrent", "pileus_build"),
        *("img_signature", "img_signature_hash_method", "img_signature_key_type", "img_signature_certificate_uuid"),
    }
)
"""Of the image that the server was made from: they are about its bytes, and the snapshot has others."""
OWN = frozenset(
    {
        *("id", "name", "owner", "status", "visibility", "protected", "os_hidden", "tags", "size", "virtual_size"),
        *("disk_format", "container_format", "min_disk", "min_ram", "checksum", "os_hash_algo", "os_hash_value"),
        *("created_at", "updated_at", "self", "file", "schema", "stores", "direct_url", "location", "locations"),
    }
)
"""What is no property of an image but its own attribute: metadata can't set it."""
RESERVED_PREFIX = "os_glance"
YES = ("true", "yes", "on", "1", "t", "y")


class Made(Protocol):
    """What counts of a server here."""

    @property
    def id(self) -> UUID: ...
    @property
    def project_id(self) -> str: ...
    @property
    def image_id(self) -> UUID | None: ...
    @property
    def image(self) -> Mapping[str, Any]: ...
    @property
    def flavor(self) -> Mapping[str, Any]: ...


def image_of(
    server: Made,
    name: str,
    *,
    kind: str,
    project_id: str | None,
    user_id: str,
    metadata: Mapping[str, str],
    not_inherited: Collection[str] = (),
) -> dict[str, Any]:
    """The body that makes the image.  `kind`: "snapshot" or "backup"; `project_id`, `user_id`: who asks for it.

    The project that asks owns it; if the server is another's, the image can be shared with that one.  InvalidInput
    """
    must_be_properties(metadata)
    inherited = {
        key: value
        for key, value in (server.image.get("properties") or {}).items()
        if key not in NEVER_INHERITED and key not in not_inherited and key not in OWN and not _is_reserved(key)
    }
    is_own = project_id == server.project_id
    base = {} if server.image_id is None else {"base_image_ref": str(server.image_id)}
    return {
        **inherited,
        **base,
        "image_type": kind,
        "image_location": "snapshot",
        "image_state": "available",
        "owner_id": server.project_id,
        **({} if is_own else {"instance_owner": server.project_id}),
        **metadata,
        "instance_uuid": str(server.id),
        "user_id": user_id,
        "name": name,
        "visibility": "private" if is_own else "shared",
        "disk_format": "qcow2",
        "container_format": "bare",
        "min_disk": max(int(server.image.get("min_disk") or 0), int(server.flavor["root_gib"])),
        "min_ram": int(server.image.get("min_ram") or 0),
    }


def must_be_properties(metadata: Mapping[str, str]) -> None:
    """InvalidInput for a key that an image has a meaning of its own for."""
    for key in metadata:
        if key in OWN or _is_reserved(key):
            raise InvalidInput(f"Image metadata cannot set '{key}'.")


def quiesce_of(properties: Mapping[str, Any]) -> Quiesce:
    """What the image of a server says of freezing it: with an agent it is tried, and it may be insisted on."""
    has_agent, insists = (_is_yes(properties.get(name)) for name in ("hw_qemu_guest_agent", "os_require_quiesce"))
    if insists:
        return Quiesce.MUST
    return Quiesce.TRY if has_agent else Quiesce.NO


def _is_reserved(key: str) -> bool:
    return key.startswith(RESERVED_PREFIX)


def _is_yes(value: Any) -> bool:
    return str(value).strip().lower() in YES
