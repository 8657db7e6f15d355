"""Bodies about what is hung on a server: volumes, interfaces, addresses, groups of rules, shares."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, StrictStr

from services.compute.api.schemas.parts import Boolean, Id, Part, Tag, refuse

DEVICE = re.compile(r"/dev/x{0,1}[a-z]{0,1}d{0,1}[a-z]+[0-9]*")


def _device(value: str) -> str:
    if DEVICE.fullmatch(value) is None:
        raise refuse(f"{value!r:.64} does not match '(^/dev/x{{0,1}}[a-z]{{0,1}}d{{0,1}})([a-z]+)[0-9]*$'")
    return value


def _address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError as error:
        raise refuse(f"{value!r:.64} is not a 'ipv4' or 'ipv6'") from error


def _network(value: Any) -> str:
    """Once a number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise refuse(f"{value!r:.64} is not of type 'string', 'number'")
    return str(value)


Device = Annotated[StrictStr, AfterValidator(_device)]
Address = Annotated[StrictStr, AfterValidator(_address)]


class NewVolume(Part):
    since: ClassVar = {"tag": 49, "delete_on_termination": 79}
    null_since: ClassVar = {"device": 1}

    volume_id: Id = Field(alias="volumeId")
    device: Device | None = None
    tag: Tag | None = None
    delete_on_termination: Boolean = False


class AttachVolume(Part):
    volume_attachment: NewVolume = Field(alias="volumeAttachment")


class ChangedVolume(Part):
    since: ClassVar = dict.fromkeys(("device", "tag", "delete_on_termination", "server_id", "attachment_id"), 85)
    null_since: ClassVar = {"device": 85}

    volume_id: Id = Field(alias="volumeId")
    device: Device | None = None
    tag: Tag | None = None
    delete_on_termination: Boolean = False
    server_id: Id | None = Field(None, alias="serverId")
    attachment_id: Id | None = Field(None, alias="id")


class UpdateVolume(Part):
    volume_attachment: ChangedVolume = Field(alias="volumeAttachment")


class FixedAddress(Part):
    ip_address: Address


class NewInterface(Part):
    since: ClassVar = {"tag": 49}

    net_id: Id | None = None
    port_id: Id | None = None
    fixed_ips: Annotated[list[FixedAddress], Field(min_length=1, max_length=1)] | None = None
    tag: Tag | None = None


class AttachInterface(Part):
    interface_attachment: NewInterface = Field(NewInterface(), alias="interfaceAttachment")


class AddFixedAddress(Part):
    network_id: Annotated[str, BeforeValidator(_network), Field(min_length=1, max_length=36)] = Field(alias="networkId")


class OneAddress(Part):
    address: Address


class AddFloatingAddress(Part):
    address: Address
    fixed_address: Address | None = None


class GroupOfRules(Part):
    name: Annotated[StrictStr, Field(min_length=1)]


class NewShare(Part):
    share_id: Id
    tag: Tag | None = None


class AttachShare(Part):
    share: NewShare
