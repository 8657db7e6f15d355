"""Shelve a server, take it off its host, and fetch it back."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.auth.callers import Caller as Who
from common.clock import utc_now
from common.errors import Conflict, InvalidInput
from common.http.operations import action
from services.compute.api.acting import ACTIONS, allowed, begin, by_saga
from services.compute.api.asking import empty
from services.compute.api.kit import Kit, Tx, owner, scope_of
from services.compute.api.schemas.parts import read
from services.compute.api.schemas.servers import Unshelve
from services.compute.api.server_images import new_image
from services.compute.core.states import Action, VmState, admit
from services.compute.db.servers import STATE, Server
from services.compute.db.services import is_up
from services.compute.sagas import OFFLOAD_SERVER, SHELVE_SERVER, UNSHELVE_SERVER

ZONE_SINCE, HOST_SINCE = 77, 91


@action(ACTIONS, "shelve", "os_compute_api:os-shelve:shelve")
def shelve(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """Its disk goes into an image named after it, which is there when this answers."""
    with kit.reading() as tx:
        seen = tx.servers.find(server_id, project_id=scope_of(caller), columns=STATE)
        kit.must("os-shelve:shelve", caller, owner(seen))
        admit(Action.SHELVE, seen.id, seen.vm_state, seen.task_state, has_host=seen.host is not None)
    with (
        new_image(seen, f"{seen.name[:247]}-shelved", "snapshot", {}, caller, kit) as image,
        kit.transaction() as tx,
    ):
        server = allowed(tx, "os-shelve:shelve", server_id, caller, kit)
        rule = admit(Action.SHELVE, server.id, server.vm_state, server.task_state, has_host=server.host is not None)
        was_on, was_paused = (server.vm_state == state for state in (VmState.ACTIVE, VmState.PAUSED))
        begin(tx, SHELVE_SERVER, server, caller, rule, image_id=image.kept(tx), was_on=was_on, was_paused=was_paused)
    return empty(202)


@action(ACTIONS, "shelveOffload", "os_compute_api:os-shelve:shelve_offload")
def offload(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    return by_saga(Action.SHELVE_OFFLOAD, OFFLOAD_SERVER, "os-shelve:shelve_offload", server_id, caller, kit)


@action(
    ACTIONS,
    "unshelve",
    "os_compute_api:os-shelve:unshelve",
    "os_compute_api:os-shelve:unshelve_to_host",
    takes=Unshelve,
)
def unshelve(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """To its own zone, or to the one asked for, which it then stays pinned to; `null` unpins it."""
    asked = _asked(options, version)
    with kit.transaction() as tx:
        server = allowed(tx, "os-shelve:unshelve", server_id, caller, kit)
        rule = admit(Action.UNSHELVE, server.id, server.vm_state, server.task_state)
        if asked.host is not None:
            kit.must("os-shelve:unshelve_to_host", caller, owner(server))
        if asked.model_fields_set:
            _must_be_offloaded(server)
            _place(asked, server, tx, kit)
        in_place = server.vm_state == VmState.SHELVED
        begin(tx, UNSHELVE_SERVER, server, caller, rule, in_place=in_place, host=asked.host)
    return empty(202)


def _asked(options: Any, version: int) -> Unshelve:
    """InvalidInput.  Before 2.77 nothing was looked at."""
    if options is None or version < ZONE_SINCE:
        return Unshelve()
    asked = read(Unshelve, options, version)
    given = asked.model_fields_set
    if version < HOST_SINCE and not given:
        told = "'availability_zone' is a required property"
        raise InvalidInput(f"Invalid input for field/attribute unshelve. Value: {str(options)[:64]}. {told}")
    if not given:
        raise InvalidInput("Invalid input for field/attribute unshelve. Value: {}. {} does not have enough properties")
    return asked


def _must_be_offloaded(server: Server) -> None:
    """Conflict: what is still on its host goes nowhere else."""
    if server.vm_state != VmState.SHELVED_OFFLOADED:
        raise Conflict(
            f"Specifying an availability zone or a host when unshelving server '{server.id}' with status '{server.vm_state}' "
            "is not supported. The server status must be SHELVED_OFFLOADED."
        )


def _place(asked: Unshelve, server: Server, tx: Tx, kit: Kit) -> None:
    """Pin or unpin it.  InvalidInput, Conflict"""
    services = {one.host: one for one in tx.services.listed(binary="nova-compute")}
    zone = (server.wanted_zone or "").partition(":")[0] or None
    if "availability_zone" in asked.model_fields_set:
        zone = asked.availability_zone
        if zone is not None and zone not in {one.zone for one in services.values() if not one.is_disabled}:
            raise InvalidInput("The requested availability zone is not available")
    if asked.host is not None:
        if (service := services.get(asked.host)) is None:
            raise InvalidInput(f"Compute host {asked.host} could not be found.")
        if zone is not None and service.zone != zone:
            raise Conflict(f"Host '{asked.host}' is not in the availability zone '{zone}'.")
        if not is_up(service, utc_now(), down_s=kit.settings.service_down_s):
            raise InvalidInput(f"Compute host {asked.host} is down.")
    tx.servers.change(server.id, wanted_zone=zone)
