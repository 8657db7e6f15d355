"""Bodies about servers."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictStr

from common.errors import InvalidInput
from services.compute.api.schemas.hints import Hints
from services.compute.api.schemas.parts import (
    FQDN,
    HOSTNAME,
    AddressV4,
    AddressV6,
    Base64,
    Boolean,
    Description,
    HostName,
    Id,
    Metadata,
    Name,
    NotNegative,
    Part,
    Positive,
    Tag,
    Text255,
    UserData,
    printable,
    refuse,
)

MOST_TAGS = 50
DiskConfig = Literal["AUTO", "MANUAL"]
Password = Annotated[StrictStr, Field(max_length=255)]


def _text_of(value: Any) -> str:
    """Ids of flavors may come as numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise refuse(f"{value!r:.64} is not of type 'string', 'integer'")
    if not (text := str(value)) or len(text) > 1024:
        raise refuse(f"{text[:64]!r} is too {'long' if text else 'short'}")
    return text


def _hostname(value: str) -> str:
    if FQDN.fullmatch(value) is None:
        raise refuse(f"{value!r:.64} does not match '^[a-zA-Z0-9-._]*$'")
    return value


def _tags(value: list[str]) -> list[str]:
    """Sorted and each once, as they are shown."""
    return sorted(set(value))


def _boot_index(value: Any) -> Any:
    """May be written as text."""
    if isinstance(value, str):
        if re.fullmatch(r"-?[0-9]{1,9}", value, re.ASCII) is None:
            raise refuse(f"{value!r:.64} does not match '^-?[0-9]+$'")
        return int(value)
    return value


BootIndex = Annotated[int, BeforeValidator(_boot_index), Field(ge=-(1 << 31), lt=1 << 31)]


class NewNic(Part):
    since: ClassVar = {"tag": 32}
    null_since: ClassVar = {"port": 1}

    uuid: StrictStr | None = None
    port: StrictStr | None = None
    fixed_ip: StrictStr | None = None
    tag: Tag | None = None


class GroupName(Part):
    name: Name | None = None


class NewDisk(Part):
    """An entry of block_device_mapping_v2."""

    since: ClassVar = {"tag": 32, "volume_type": 67}
    null_since: ClassVar = {"boot_index": 1, "volume_type": 67}

    source_type: Literal["volume", "image", "snapshot", "blank"] | None = None
    destination_type: Literal["local", "volume"] | None = None
    uuid: Text255 | None = None
    image_id: StrictStr | None = None
    volume_id: StrictStr | None = None
    snapshot_id: StrictStr | None = None
    volume_size: NotNegative | None = None  # GiB; of swap MiB
    volume_type: StrictStr | None = None
    boot_index: BootIndex | None = None
    delete_on_termination: Boolean | None = None
    device_name: Text255 | None = None
    device_type: Annotated[StrictStr, Field(max_length=255)] | None = None
    disk_bus: Annotated[StrictStr, Field(max_length=255)] | None = None
    guest_format: Annotated[StrictStr, Field(max_length=255)] | None = None
    virtual_name: StrictStr | None = None
    no_device: Any = None
    connection_info: StrictStr | None = None
    tag: Tag | None = None


class NewFile(Part):
    path: Annotated[StrictStr, Field(min_length=1), AfterValidator(printable)]
    contents: Base64


class NewServer(Part):
    since: ClassVar = {
        "description": 19,
        "tags": 52,
        "trusted_image_certificates": 63,
        "host": 74,
        "hypervisor_hostname": 74,
        "hostname": 90,
    }
    until: ClassVar = {"personality": 56}
    needed_since: ClassVar = {"networks": 37}
    null_since: ClassVar = {"description": 19, "trusted_image_certificates": 63}

    name: Name
    image_ref: StrictStr | None = Field(None, alias="imageRef")
    flavor_ref: Annotated[str, BeforeValidator(_text_of)] = Field(alias="flavorRef")
    admin_password: Password | None = Field(None, alias="adminPass")
    metadata: Metadata = {}
    networks: list[NewNic] | Literal["none", "auto"] | None = None
    disk_config: DiskConfig = Field("MANUAL", alias="OS-DCF:diskConfig")
    access_ipv4: AddressV4 | None = Field(None, alias="accessIPv4")
    access_ipv6: AddressV6 | None = Field(None, alias="accessIPv6")
    personality: list[NewFile] = []
    availability_zone: Name | None = None
    block_device_mapping: list[dict[str, Any]] = []
    block_device_mapping_v2: list[NewDisk] = []
    config_drive: Boolean = False
    key_name: Name | None = None
    min_count: Positive = 1
    max_count: Positive | None = None
    return_reservation_id: Boolean = False
    security_groups: list[GroupName] | None = None
    user_data: UserData | None = None
    description: Description = None
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS), AfterValidator(_tags)] = []
    trusted_image_certificates: list[StrictStr] | None = None
    host: HostName | None = None
    hypervisor_hostname: HostName | None = None
    hostname: Annotated[StrictStr, Field(min_length=1, max_length=255), AfterValidator(_hostname)] | None = None


class CreateServer(Part):
    server: NewServer
    hints: Hints = Field(Hints(), alias="os:scheduler_hints")
    old_hints: Hints = Field(Hints(), alias="OS-SCH-HNT:scheduler_hints")


class ChangedServer(Part):
    since: ClassVar = {"description": 19, "hostname": 90, "pinned_availability_zone": 104}
    null_since: ClassVar = {"description": 19, "pinned_availability_zone": 104}

    name: Name | None = None
    disk_config: DiskConfig | None = Field(None, alias="OS-DCF:diskConfig")
    access_ipv4: AddressV4 | None = Field(None, alias="accessIPv4")
    access_ipv6: AddressV6 | None = Field(None, alias="accessIPv6")
    description: Description = None
    hostname: Annotated[StrictStr, Field(min_length=1, max_length=255), AfterValidator(_hostname)] | None = None
    pinned_availability_zone: Annotated[StrictStr, Field(min_length=1, max_length=255)] | None = None


class UpdateServer(Part):
    server: ChangedServer


class RebootKind(Part):
    type: Literal["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]


class Rebuild(Part):
    since: ClassVar = {
        "description": 19,
        "key_name": 54,
        "user_data": 57,
        "trusted_image_certificates": 63,
        "hostname": 90,
    }
    until: ClassVar = {"personality": 56}
    null_since: ClassVar = {"description": 19, "key_name": 54, "user_data": 57, "trusted_image_certificates": 63}

    image_ref: StrictStr = Field(alias="imageRef")
    name: Name | None = None
    admin_password: Password | None = Field(None, alias="adminPass")
    metadata: Metadata | None = None
    preserve_ephemeral: Boolean = False
    disk_config: DiskConfig | None = Field(None, alias="OS-DCF:diskConfig")
    access_ipv4: AddressV4 | None = Field(None, alias="accessIPv4")
    access_ipv6: AddressV6 | None = Field(None, alias="accessIPv6")
    personality: list[NewFile] = []
    description: Description = None
    key_name: Name | None = None
    user_data: UserData | None = None
    trusted_image_certificates: list[StrictStr] | None = None
    hostname: Annotated[StrictStr, Field(min_length=1, max_length=255), AfterValidator(_hostname)] | None = None


class Resize(Part):
    flavor_ref: Annotated[str, BeforeValidator(_text_of)] = Field(alias="flavorRef")
    disk_config: DiskConfig | None = Field(None, alias="OS-DCF:diskConfig")


class Rescue(Part):
    admin_password: Password | None = Field(None, alias="adminPass")
    rescue_image_ref: Id | None = None


class Migrate(Part):
    since: ClassVar = {"host": 56}
    null_since: ClassVar = {"host": 56}

    host: HostName | None = None


class LiveMigrate(Part):
    since: ClassVar = {"force": 30}
    until: ClassVar = {"disk_over_commit": 24, "force": 67}
    needed_since: ClassVar = {"block_migration": 1, "disk_over_commit": 1, "host": 1}
    null_since: ClassVar = {"host": 1}

    host: HostName | None = None
    block_migration: Boolean | Literal["auto"] | None = None
    disk_over_commit: Boolean | None = None
    force: Boolean | None = None


class Evacuate(Part):
    since: ClassVar = {"force": 29}
    until: ClassVar = {"on_shared_storage": 13, "force": 67}
    needed_since: ClassVar = {"on_shared_storage": 1}

    host: HostName | None = None
    admin_password: Password | None = Field(None, alias="adminPass")
    on_shared_storage: Boolean | None = Field(None, alias="onSharedStorage")
    force: Boolean | None = None


class CreateImage(Part):
    name: Name
    metadata: Metadata = {}


class CreateBackup(Part):
    name: Name
    backup_type: Annotated[StrictStr, Field(max_length=255), AfterValidator(printable)]
    rotation: NotNegative
    metadata: Metadata = {}


class Unshelve(Part):
    """A null or nothing before 2.77; then with a zone; since 2.91 with null for no zone, with a host, or both."""

    since: ClassVar = {"availability_zone": 77, "host": 91}
    null_since: ClassVar = {"availability_zone": 91}

    availability_zone: Name | None = None
    host: HostName | None = None


class NewPassword(Part):
    admin_password: Password = Field(alias="adminPass")


class LockReason(Part):
    locked_reason: Annotated[StrictStr, Field(min_length=1, max_length=255)] | None = None


class StateByHand(Part):
    state: Literal["active", "error"]


class ConsoleLength(Part):
    length: Any = None


class AllMetadata(Part):
    metadata: Metadata


class OneItem(Part):
    meta: Metadata


class AllTags(Part):
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS), AfterValidator(_tags)]


def must_be_hostname(value: str | None, version: int) -> None:
    """Since 2.94 it may have dots.  InvalidInput"""
    if value is not None and version < 94 and (len(value) > 63 or HOSTNAME.fullmatch(value) is None):
        shown = value[:64]
        raise InvalidInput(
            f"Invalid input for field/attribute hostname. Value: {shown}. '{shown}' does not match '^{HOSTNAME.pattern}$'"
        )
