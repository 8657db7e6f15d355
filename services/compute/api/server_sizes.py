"""Another size for a server, tried before it is kept; and rescue: another disk to start from."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.auth.callers import Caller as Who
from common.errors import Forbidden, InvalidInput, NotFound
from common.http.json import Json
from common.http.operations import action
from services.compute.api.acting import ACTIONS, allowed, begin, by_saga
from services.compute.api.asking import empty
from services.compute.api.kit import Kit, Tx, scope_of
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.servers import Rescue, Resize
from services.compute.api.server_order import a_password, flavor_copy
from services.compute.core.guests import GuestImage
from services.compute.core.hardware import Hardware, hardware_of_copies
from services.compute.core.hardware.allowed import must_be_allowed
from services.compute.core.hardware.boards import Q35
from services.compute.core.hardware.devices import DISK_PREFIX
from services.compute.core.images import BOOTABLE, HELD_AS, WRAPPED, Image
from services.compute.core.local_disks import must_not_shrink
from services.compute.core.quotas import Amount
from services.compute.core.states import Action, VmState, admit
from services.compute.db.flavors import Flavor
from services.compute.db.servers import STATE, Server
from services.compute.sagas import CONFIRM_RESIZE, RESCUE_SERVER, RESIZE_SERVER, REVERT_RESIZE, UNRESCUE_SERVER


@action(ACTIONS, "resize", "os_compute_api:servers:resize", takes=Resize)
def resize(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """State, quota and saga in one transaction; the claim is the saga's first step."""
    asked = read(Resize, options, version)
    with kit.transaction() as tx:
        server = allowed(tx, "servers:resize", server_id, caller, kit)
        rule = admit(Action.RESIZE, server.id, server.vm_state, server.task_state, has_host=server.host is not None)
        flavor = _flavor(asked.flavor_ref, tx, caller)
        _must_be_larger_or_other(flavor, server)
        kept = flavor_copy(flavor)
        hardware_of_copies(server.image, kept)
        _must_be_within_quota(flavor, server, tx)
        if asked.disk_config is not None:
            tx.servers.change(server.id, disk_config=asked.disk_config)
        was_on = server.vm_state == VmState.ACTIVE
        begin(tx, RESIZE_SERVER, server, caller, rule, flavor=kept, was_on=was_on)
    return empty(202)


@action(ACTIONS, "confirmResize", "os_compute_api:servers:confirm_resize")
def confirm_resize(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    by_saga(Action.CONFIRM_RESIZE, CONFIRM_RESIZE, "servers:confirm_resize", server_id, caller, kit)
    return empty(204)


@action(ACTIONS, "revertResize", "os_compute_api:servers:revert_resize")
def revert_resize(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return by_saga(Action.REVERT_RESIZE, REVERT_RESIZE, "servers:revert_resize", server_id, caller, kit)


@action(ACTIONS, "rescue", "os_compute_api:os-rescue", takes=Rescue)
def rescue(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """From the image asked for, or the one that the server was made from; answers the password for it."""
    asked = read(Rescue, {} if options is None else options, version)
    password = asked.admin_password or a_password()
    with kit.reading() as tx:
        seen = tx.servers.find(server_id, project_id=scope_of(caller), columns=STATE)
    image, properties = _rescue_image(asked, seen, caller, kit)
    with kit.transaction() as tx:
        server = allowed(tx, "os-rescue", server_id, caller, kit)
        rule = admit(Action.RESCUE, server.id, server.vm_state, server.task_state, has_host=server.host is not None)
        tx.servers.change(server.id, admin_password=password)
        was_on = server.vm_state == VmState.ACTIVE
        begin(tx, RESCUE_SERVER, server, caller, rule, image=image, properties=properties, was_on=was_on)
    return Json({"adminPass": password}, 200)


@action(ACTIONS, "unrescue", "os_compute_api:os-unrescue")
def unrescue(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return by_saga(Action.UNRESCUE, UNRESCUE_SERVER, "os-unrescue", server_id, caller, kit)


# ---------------------------------------------------------------- checks


def _flavor(given: str, tx: Tx, caller: Who) -> Flavor:
    flavor_id = given.rsplit("/", 1)[-1]
    try:
        flavor = tx.flavors.find(flavor_id, project_id=None if caller.is_admin else caller.project_id or "")
    except NotFound as error:
        raise InvalidInput(f"Unable to locate requested flavor. {error.message}") from error
    if flavor.is_disabled:
        raise InvalidInput(f"Unable to locate requested flavor. Flavor {flavor_id} could not be found.")
    return flavor


def _must_be_larger_or_other(flavor: Flavor, server: Server) -> None:
    if flavor.id == server.flavor["id"]:
        raise InvalidInput("When resizing, instances must change flavor!")
    if flavor.root_gib == 0 and server.flavor["root_gib"] != 0:
        raise InvalidInput("Server disk was unable to be resized because: Resize to zero disk flavor is not allowed.")
    if flavor.root_gib < server.flavor["root_gib"]:
        raise InvalidInput(
            f"Server disk was unable to be resized because: a disk can't shrink, and this one has "
            f"{server.flavor['root_gib']} GiB."
        )
    must_not_shrink(server.flavor, server.local_disks, flavor_copy(flavor))


def _must_be_within_quota(flavor: Flavor, server: Server, tx: Tx) -> None:
    more = Amount(
        cores=max(flavor.vcpus - server.flavor["vcpus"], 0),
        ram=max(flavor.memory_mib - server.flavor["memory_mib"], 0),
    )
    tx.quotas.admit_growth(more, project_id=server.project_id, user_id=server.user_id)


def _rescue_image(asked: Rescue, server: Server, caller: Who, kit: Kit) -> tuple[GuestImage, dict[str, str] | None]:
    """With its properties, unless it is the server's own."""
    if asked.rescue_image_ref is None or asked.rescue_image_ref == server.image_id:
        own = server.image
        _must_rescue(hardware_of_copies(own, server.flavor), server)
        return GuestImage(
            id=server.image_id, sha512=own["sha512"], size_bytes=own["size_bytes"], disk_format=own["disk_format"]
        ), None
    try:
        image: Image = kit.images.show(asked.rescue_image_ref, token=caller.token)
    except (NotFound, Forbidden) as error:
        raise InvalidInput(f"Image {asked.rescue_image_ref} could not be found.") from error
    is_disk = image.disk_format in BOOTABLE and image.container_format not in WRAPPED
    if image.status != "active" or not is_disk or image.size is None or not image.os_hash_value:
        raise InvalidInput(f"Image {image.id} is unacceptable: no server can start from it.")
    must_be_allowed(image.properties, kit.settings.allowed_image_properties)
    _must_rescue(hardware_of_copies({"name": image.name, "properties": image.properties}, server.flavor), server)
    found = GuestImage(
        id=image.id,
        sha512=image.os_hash_value,
        size_bytes=image.size,
        disk_format=HELD_AS[image.disk_format or ""],
    )
    return found, dict(image.properties)


def _must_rescue(hardware: Hardware, server: Server) -> None:
    device, bus = hardware.devices.rescue_device, hardware.devices.rescue_bus
    if device not in (None, "disk", "cdrom"):
        raise InvalidInput(f"Requested rescue device '{device}' is not supported")
    if bus is not None and (bus not in DISK_PREFIX or (device == "cdrom" and bus == "virtio")):
        raise InvalidInput(f"Requested rescue bus '{bus}' is not supported by any host here")
    if bus == "ide" and hardware_of_copies(server.image, server.flavor).board.family == Q35:  # its board stays
        raise InvalidInput("Requested rescue bus 'ide' is not supported: the server's board, q35, has no IDE")
