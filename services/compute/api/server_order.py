"""What a request for new servers asks for, checked against everything but quota: image, flavor, key, zone, networks, disks."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from common.auth.callers import Caller
from common.clock import utc_now
from common.errors import Forbidden, InvalidInput, NotFound
from services.compute.api.kit import Kit, Tx
from services.compute.api.schemas.servers import CreateServer, NewFile, NewNic, NewServer, must_be_hostname
from services.compute.api.server_disks import NO_VOLUMES, blank_disks, must_be_pluggable
from services.compute.core.guests import BlankDisk
from services.compute.core.hardware import hardware_of_copies
from services.compute.core.hardware.allowed import must_be_allowed
from services.compute.core.images import HELD_AS, Image, must_boot
from services.compute.core.injected_files import InjectedFile
from services.compute.core.local_disks import sized
from services.compute.core.names import LONGEST_HOSTNAME, hostname_of, numbered
from services.compute.core.quotas import Amount
from services.compute.core.states import TaskState, VmState
from services.compute.db.flavors import Flavor
from services.compute.db.servers import as_uuid

PASSWORD_LETTERS = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lIi")))
PASSWORD_LENGTH = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """All that new servers have in common, found and allowed."""

    asked: NewServer
    hints: Mapping[str, Any]
    least: int
    most: int
    flavor: Flavor
    image: Image
    disks: list[BlankDisk]  # that it names besides the root; none: as the flavor has them
    files: list[InjectedFile]
    public_key: str | None
    wanted_zone: str | None
    description: str | None
    password: str

    @property
    def one(self) -> Amount:
        """What a single server takes of the quota."""
        return Amount(1, self.flavor.vcpus, self.flavor.memory_mib)


def order_of(body: CreateServer, caller: Caller, kit: Kit, version: int) -> Order:
    """InvalidInput, Forbidden: in the order in which Nova looks."""
    asked = body.server
    must_be_hostname(asked.hostname, version)
    _must_be_built_here(asked)
    least, most = _counts(asked)
    kit.must("servers:create", caller)
    disks = _disks(asked, kit, caller)
    image_id = _image_id(asked)
    _must_be_connectable(asked.networks, caller, kit)
    _must_have_groups(asked)
    with kit.reading() as tx:
        wanted_zone = _zone(asked, tx, caller, kit)
        flavor = _flavor(asked.flavor_ref, tx, caller)
        public_key = _public_key(asked.key_name, tx, caller)
        if asked.metadata:
            tx.quotas.must_be_few(asked.metadata, project_id=str(caller.project_id))
        files = files_of(asked.personality, tx, project_id=str(caller.project_id), user_id=caller.user_id)
    image = _image(image_id, caller, kit)
    must_boot(image, flavor)
    must_be_allowed(image.properties, kit.settings.allowed_image_properties)
    disks = sized(disks, flavor_copy(flavor))
    hardware = hardware_of_copies(image_copy(image), flavor_copy(flavor))
    must_be_pluggable(asked.block_device_mapping_v2, hardware)
    return Order(
        asked=asked,
        hints=body.hints.said() or body.old_hints.said(),
        least=least,
        most=most,
        flavor=flavor,
        image=image,
        disks=disks,
        files=files,
        public_key=public_key,
        wanted_zone=wanted_zone,
        description=asked.description if version >= 19 else asked.name,
        password=asked.admin_password or a_password(),
    )


def rows_of(order: Order, count: int, caller: Caller) -> list[dict[str, Any]]:
    """The servers' rows: what the boot needs is all in them."""
    now, reservation_id = utc_now(), f"r-{secrets.token_hex(4)}"
    names = numbered(order.asked.name, order.most)[:count]
    shared = _shared(order, caller) | {"reservation_id": reservation_id, "created_at": now, "updated_at": now}
    return [shared | _own(order, name, index) for index, name in enumerate(names)]


def files_of(asked: Sequence[NewFile], tx: Tx, *, project_id: str, user_id: str) -> list[InjectedFile]:
    """OverQuota"""
    files = [InjectedFile(path=one.path, contents=one.contents) for one in asked]
    if files:
        tx.quotas.must_be_few_files(files, project_id=project_id, user_id=user_id)
    return files


def stored(files: Sequence[InjectedFile]) -> list[dict[str, str]] | None:
    """As a server's row keeps them."""
    return [one.model_dump() for one in files] or None


def a_password() -> str:
    """Without letters that people mistake for each other."""
    return "".join(secrets.choice(PASSWORD_LETTERS) for _ in range(PASSWORD_LENGTH))


def _own(order: Order, name: str, index: int) -> dict[str, Any]:
    server_id, count = uuid4(), order.most
    given = order.asked.hostname
    if given is not None:
        hostname = given if count == 1 else f"{given[: LONGEST_HOSTNAME - 5]}-{index + 1}"
    else:
        hostname = hostname_of(name, server_id)
    return {"id": server_id, "name": name, "hostname": hostname, "launch_index": index}


def _shared(order: Order, caller: Caller) -> dict[str, Any]:
    asked, image = order.asked, order.image
    return {
        "project_id": caller.project_id,
        "user_id": caller.user_id,
        "description": order.description,
        "vm_state": str(VmState.BUILDING),
        "task_state": str(TaskState.SCHEDULING),
        "power_state": 0,
        "image_id": image.id,
        "image": image_copy(image),
        "flavor": flavor_copy(order.flavor),
        "local_disks": [disk.model_dump(mode="json") for disk in order.disks] or None,
        "key_name": asked.key_name,
        "public_key": order.public_key,
        "user_data": asked.user_data,
        "files": stored(order.files),
        "has_config_drive": asked.config_drive or bool(order.files),  # there is no other way into the guest
        "attributes": asked.metadata,
        "tags": asked.tags,
        "disk_config": asked.disk_config,
        "access_ipv4": asked.access_ipv4 or None,
        "access_ipv6": asked.access_ipv6 or None,
        "is_locked": False,
        "wanted_zone": order.wanted_zone,
        "hints": dict(order.hints),
        "admin_password": order.password,
    }


def image_copy(image: Image) -> dict[str, Any]:
    """What a server keeps of the image that its disk came from."""
    return {
        "sha512": image.os_hash_value,
        "size_bytes": image.size,
        "virtual_bytes": image.virtual_size,
        "disk_format": HELD_AS.get(image.disk_format or "", image.disk_format),
        "name": image.name,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "properties": dict(image.properties),
    }


def flavor_copy(flavor: Flavor) -> dict[str, Any]:
    """What a server keeps of its flavor: later changes are not its own."""
    kept = ("id", "name", "vcpus", "memory_mib", "root_gib", "ephemeral_gib", "swap_mib", "extra_specs")
    return {name: getattr(flavor, name) for name in kept}


# ---------------------------------------------------------------- one thing each


def _must_be_built_here(asked: NewServer) -> None:
    """What Nova knows and this cloud does not is refused, never passed over."""
    if asked.trusted_image_certificates:
        raise InvalidInput("Image certificate validation is not available in this cloud.")


def _counts(asked: NewServer) -> tuple[int, int]:
    most = asked.max_count or asked.min_count
    if asked.min_count > most:
        raise InvalidInput("min_count must be <= max_count")
    return asked.min_count, most


def _disks(asked: NewServer, kit: Kit, caller: Caller) -> list[BlankDisk]:
    if asked.block_device_mapping:
        raise InvalidInput(NO_VOLUMES)
    if asked.block_device_mapping_v2:
        kit.must("servers:create:attach_volume", caller)
    most = kit.settings.max_local_block_devices
    return blank_disks(asked.block_device_mapping_v2, image_ref=asked.image_ref, most=most)


def _image_id(asked: NewServer) -> UUID:
    """Of imageRef, an id or an address that ends in one."""
    given = asked.image_ref or ""
    if not given:
        raise InvalidInput("Invalid imageRef provided.")
    found = as_uuid(given.rsplit("/", 1)[-1])
    if found is None:
        raise InvalidInput(
            f"Invalid input for field/attribute imageRef. Value: {given[:64]}. '{given[:64]}' is not a 'uuid'"
        )
    return found


def _image(image_id: UUID, caller: Caller, kit: Kit) -> Image:
    """As its caller sees it now; a hundred servers that are asked for at once don't ask for it a hundred times."""
    try:
        return kit.looks.ask((image_id, caller.token), lambda: kit.images.show(image_id, token=caller.token))
    except NotFound as error:
        raise InvalidInput("Can not find requested image") from error
    except Forbidden as error:
        raise InvalidInput(f"Not authorized for image {image_id}.") from error


def _flavor(given: str, tx: Tx, caller: Caller) -> Flavor:
    flavor_id = given.rsplit("/", 1)[-1]
    try:
        flavor = tx.flavors.find(flavor_id, project_id=None if caller.is_admin else caller.project_id or "")
    except NotFound as error:
        raise InvalidInput(error.message) from error
    if flavor.is_disabled:
        raise InvalidInput(f"Flavor {flavor_id} could not be found.")
    return flavor


def _public_key(name: str | None, tx: Tx, caller: Caller) -> str | None:
    if name is None:
        return None
    try:
        return str(tx.keypairs.find(name, user_id=caller.user_id).public_key)
    except NotFound as error:
        raise InvalidInput("Invalid key_name provided.") from error


def _must_be_connectable(networks: list[NewNic] | str | None, caller: Caller, kit: Kit) -> None:
    """Without a network service there is nothing to be connected to: only `none`, or nothing said, can be had."""
    if networks == "auto":
        raise InvalidInput(f"Unable to automatically allocate a network for project {caller.project_id}")
    if not isinstance(networks, list):
        return
    kit.must("servers:create:attach_network", caller)
    for nic in networks:
        if nic.port:
            raise InvalidInput(f"Port id {nic.port[:64]} could not be found.")
        if nic.uuid is None:
            raise InvalidInput("Bad network format: missing 'uuid'")
        if as_uuid(nic.uuid) is None:
            raise InvalidInput(f"Bad networks format: network uuid is not in proper format ({nic.uuid[:64]})")
        raise InvalidInput(f"Network {nic.uuid} could not be found.")


def _must_have_groups(asked: NewServer) -> None:
    for group in asked.security_groups or []:
        if group.name not in (None, "default"):
            raise InvalidInput(f"Security group {group.name} not found.")


def _zone(asked: NewServer, tx: Tx, caller: Caller, kit: Kit) -> str | None:
    """`zone`, or `zone:host` for those who may choose a host: only they get to one that is disabled."""
    zone, host = _split(asked.availability_zone)
    if host:
        kit.must("servers:create:forced_host", caller)
    if wished := asked.host or asked.hypervisor_hostname:
        kit.policy.must("compute:servers:create:requested_destination", caller)
        if host:
            raise InvalidInput(
                "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node "
                "are mutually exclusive."
            )
        host = wished
    services = tx.services.listed(binary="nova-compute") if zone or host else []
    if zone and zone not in {one.zone for one in services if host or not one.is_disabled}:
        raise InvalidInput("The requested availability zone is not available")
    if host and host not in {one.host for one in services}:
        raise InvalidInput(f"Compute host {host} could not be found.")
    return f"{zone or ''}:{host}" if host else zone


def _split(given: str | None) -> tuple[str | None, str | None]:
    """Of `zone`, `zone:host`, `zone:host:node` (here host and node are one)."""
    parts = (given or "").split(":")
    if len(parts) > 3:
        raise InvalidInput("Unable to parse availability_zone")
    zone, host, node = [*parts, "", ""][:3]
    return zone or None, host or node or None
