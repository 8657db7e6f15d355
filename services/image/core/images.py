"""What an image is: its states, its attributes and who may see it.  Words: Image API reference, v2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from common.errors import PlatformError


class Gone(PlatformError):
    """The image was deleted while its bytes arrived."""

    status, code = 410, "image.gone"


class Status(StrEnum):
    """queued -> saving -> active; an upload that ends badly goes back to queued.  See the README's drawing."""

    QUEUED = "queued"
    SAVING = "saving"
    UPLOADING = "uploading"  # bytes are on their way to the staging area, or wait there
    IMPORTING = "importing"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"  # has its bytes, and gives them to nobody but administrators


WITH_BYTES = (Status.ACTIVE, Status.DEACTIVATED)


class Visibility(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"
    SHARED = "shared"
    COMMUNITY = "community"


# fmt: off
DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "ploop", "iso", "gpt")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
# fmt: on

READ_ONLY = frozenset(
    {
        *("id", "status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value"),
        *("created_at", "updated_at", "self", "file", "schema", "direct_url", "stores"),
    }
)
"""Attributes that only the service sets."""

FORBIDDEN = frozenset({"location", "locations", "deleted", "deleted_at"})
"""Names that mean something dangerous or outdated elsewhere, and that nobody may set here."""

RESERVED_PREFIX = "os_glance"
"""Start of names that the service keeps for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What a user may choose."""

    name: str | None = None
    owner: str | None = None
    visibility: Visibility = Visibility.SHARED
    protected: bool = False
    os_hidden: bool = False
    disk_format: str | None = None
    container_format: str | None = None
    min_disk: int = 0  # GiB
    min_ram: int = 0  # MiB
    tags: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is known of an image's bytes."""

    size: int
    virtual_size: int
    md5: str
    sha512: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """What is known of bytes that wait in the staging area: nobody has looked into them yet."""

    size: int
    md5: str
    sha512: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image as it is."""

    id: UUID
    status: Status
    attributes: Attributes
    content: Content | None
    created_at: datetime
    updated_at: datetime
    stores: tuple[str, ...] = ()  # those that hold its bytes

    def target(self) -> dict[str, str | None]:
        """What policy checks may look at."""
        attributes, owner = self.attributes, self.attributes.owner
        made_from = attributes.properties.get("instance_uuid")
        return {
            "project_id": owner,
            "owner": owner,
            "visibility": attributes.visibility,
            "instance_uuid": made_from,
        }


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whose eyes: a project's, or those that see every image."""

    project_id: str | None
    sees_all: bool = False
