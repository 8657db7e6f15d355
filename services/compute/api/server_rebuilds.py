"""Rebuild a server: another image, and what else is asked to change; its id, host and flavor stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import Response

from common.auth.callers import Caller as Who
from common.errors import Forbidden, InvalidInput, NotFound
from common.http.json import Json
from common.http.operations import action
from services.compute.api import links
from services.compute.api.acting import ACTIONS, allowed, begin
from services.compute.api.kit import Kit, Tx, owner, scope_of
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.servers import Rebuild, must_be_hostname
from services.compute.api.server_order import a_password, files_of, image_copy, stored
from services.compute.api.server_views import SEEN_BY, look_at, shown
from services.compute.api.versions import REBUILT_SERVER
from services.compute.core.hardware import hardware_of_copies
from services.compute.core.hardware.allowed import must_be_allowed
from services.compute.core.images import FlavorCopy, Image, must_boot
from services.compute.core.states import Action, VmState, admit
from services.compute.db.servers import STATE, Server, as_uuid
from services.compute.sagas import REBUILD_SERVER

CHANGED = {  # field -> column, set to what is given
    "name": "name",
    "metadata": "attributes",
    "disk_config": "disk_config",
    "description": "description",
    "hostname": "hostname",
    "user_data": "user_data",
    "key_name": "key_name",
}
NEVER_EMPTY = ("name", "attributes", "disk_config", "hostname")


@action(ACTIONS, "rebuild", "os_compute_api:servers:rebuild", *SEEN_BY, takes=Rebuild)
def rebuild(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """State, what changes, and saga in one transaction; the answer is the server as it is to be."""
    asked = read(Rebuild, options, version)
    must_be_hostname(asked.hostname, version)
    _must_be_possible(asked)
    image_id = _image_id(asked.image_ref)
    with kit.reading() as tx:  # whose it is, and who may, comes before whether there is such an image
        kit.must(
            "servers:rebuild", caller, owner(tx.servers.find(server_id, project_id=scope_of(caller), columns=STATE))
        )
    image = _image(image_id, caller, kit)
    password = asked.admin_password or a_password()
    with kit.transaction() as tx:
        server = allowed(tx, "servers:rebuild", server_id, caller, kit)
        has_host = server.host is not None
        rule = admit(Action.REBUILD, server.id, server.vm_state, server.task_state, has_host=has_host)
        must_boot(image, FlavorCopy.of(server.flavor))
        must_be_allowed(image.properties, kit.settings.allowed_image_properties)
        kept = image_copy(image)
        _must_fit_its_place(kept, server)
        changes = _changes(asked, server, tx, caller, kit)
        tx.servers.change(server.id, image_id=image.id, image=kept, admin_password=password, **changes)
        old = None if image.id == server.image_id else {"image_id": server.image_id, "image": server.image}
        begin(tx, REBUILD_SERVER, server, caller, rule, was_off=server.vm_state == VmState.STOPPED, old=old)
        row = tx.servers.find(server.id, project_id=None)
        look = look_at(kit, tx, caller, version, [row])
    body = shown(row, look, alone=True) | {"adminPass": password, "user_data": row.user_data}
    body.pop("OS-EXT-SRV-ATTR:user_data", None)  # the same under its newer name
    location = links.of(kit.url, "servers", row.id)[0]["href"]
    return Json({"server": REBUILT_SERVER.at(version, body)}, 202, {"Location": location})


def _must_be_possible(asked: Rebuild) -> None:
    if asked.trusted_image_certificates:
        raise InvalidInput("Image certificate validation is not available in this cloud.")
    if asked.preserve_ephemeral:
        raise InvalidInput("This cloud's hypervisor can't preserve ephemeral disks in a rebuild.")


def _must_fit_its_place(image: Mapping[str, Any], server: Server) -> None:
    """What it has of its host's processors stays its own.  InvalidInput"""
    before, after = (hardware_of_copies(one, server.flavor).processors for one in (server.image, image))
    if (before.policy, before.threads, before.cells, before.page_size) != (
        after.policy, after.threads, after.cells, after.page_size
    ):  # fmt: skip
        raise InvalidInput(
            "An instance's NUMA topology cannot be changed as part of a rebuild. The image provided is invalid for this "
            "instance."
        )


def _image_id(given: str) -> UUID:
    found = as_uuid(given.rsplit("/", 1)[-1])
    if found is None:
        raise InvalidInput(
            f"Invalid input for field/attribute imageRef. Value: {given[:64]}. '{given[:64]}' is not a 'uuid'"
        )
    return found


def _image(image_id: UUID, caller: Who, kit: Kit) -> Image:
    try:
        return kit.images.show(image_id, token=caller.token)
    except (NotFound, Forbidden) as error:
        raise InvalidInput("Cannot find image for rebuild") from error


def _changes(asked: Rebuild, server: Server, tx: Tx, caller: Who, kit: Kit) -> dict[str, Any]:
    """Column -> value of what the body names."""
    given = asked.model_fields_set
    changes = {column: getattr(asked, name) for name, column in CHANGED.items() if name in given}
    changes = {column: value for column, value in changes.items() if value is not None or column not in NEVER_EMPTY}
    if "attributes" in changes:
        tx.quotas.must_be_few(changes["attributes"], project_id=server.project_id)
    files = files_of(asked.personality, tx, project_id=server.project_id, user_id=server.user_id)
    changes["files"] = stored(files)  # those of before are not kept, as in Nova
    if files:
        changes["has_config_drive"] = True
    for name in ("access_ipv4", "access_ipv6"):
        if name in given:
            changes[name] = getattr(asked, name) or None
    if "key_name" in given:
        changes["public_key"] = _public_key(asked.key_name, tx, caller)
    return changes


def _public_key(name: str | None, tx: Tx, caller: Who) -> str | None:
    if name is None:
        return None
    try:
        return str(tx.keypairs.find(name, user_id=caller.user_id).public_key)
    except NotFound as error:
        raise InvalidInput("Invalid key_name provided.") from error
