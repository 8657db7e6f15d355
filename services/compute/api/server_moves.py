"""Moves to another host.  Each is looked at as far as it goes while servers do not move yet."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from common.auth.callers import Caller as Who
from common.clock import utc_now
from common.errors import InvalidInput, NotFound
from common.http.operations import action
from services.compute.api.acting import ACTIONS, allowed
from services.compute.api.kit import Kit, Tx
from services.compute.api.schemas.parts import FALSE, TRUE, read
from services.compute.api.schemas.servers import Evacuate, LiveMigrate, Migrate
from services.compute.core.states import Action, admit
from services.compute.db.servers import Server
from services.compute.db.services import is_up

AUTO_SINCE = 25
NOWHERE = "No valid host was found. Servers do not move between the hosts of this cloud yet."


@action(
    ACTIONS,
    "migrate",
    "os_compute_api:os-migrate-server:migrate",
    "os_compute_api:os-migrate-server:migrate:host",
    takes=Migrate,
)
def migrate(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    host = read(Migrate, options or {}, version).host
    with kit.transaction() as tx:
        _may_choose(tx, host, "os-migrate-server:migrate", server_id, caller, kit)
        server = _admitted(tx, Action.MIGRATE, "os-migrate-server:migrate", server_id, caller, kit)
        _must_be_another(tx, host, server)
    raise InvalidInput(NOWHERE)


@action(
    ACTIONS,
    "os-migrateLive",
    "os_compute_api:os-migrate-server:migrate_live",
    "os_compute_api:os-migrate-server:migrate_live:host",
    takes=LiveMigrate,
)
def migrate_live(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    asked = read(LiveMigrate, options, version)
    host = asked.host
    if asked.block_migration == "auto" and version < AUTO_SINCE:
        raise InvalidInput(
            f"Invalid input for field/attribute block_migration. Value: auto. 'auto' is not one of {[*TRUE, *FALSE]}"
        )
    with kit.transaction() as tx:
        _may_choose(tx, host, "os-migrate-server:migrate_live", server_id, caller, kit)
        server = _admitted(tx, Action.LIVE_MIGRATE, "os-migrate-server:migrate_live", server_id, caller, kit)
        _must_be_another(tx, host, server)
    raise InvalidInput(NOWHERE)


@action(ACTIONS, "evacuate", "os_compute_api:os-evacuate", takes=Evacuate)
def evacuate(server_id: str, options: Any, caller: Who, kit: Kit, version: int) -> Response:
    """Only from a host that is down; one that is named is looked at before anything else."""
    host = read(Evacuate, options, version).host
    with kit.transaction() as tx:
        asked = allowed(tx, "os-evacuate", server_id, caller, kit)
        if host is not None and not _is_known(tx, host):
            raise NotFound(f"Compute host {host} not found.")
        if host is not None and host == asked.host:
            raise InvalidInput("The target host can't be the same one.")
        server = _admitted(tx, Action.EVACUATE, "os-evacuate", server_id, caller, kit)
        service = tx.services.of_hosts([server.host]).get(server.host)
        if service is not None and is_up(service, utc_now(), down_s=kit.settings.service_down_s):
            raise InvalidInput(f"Compute service of {server.host} is still in use.")
    raise InvalidInput(NOWHERE)


def _admitted(tx: Tx, wanted: Action, rule: str, server_id: str, caller: Who, kit: Kit) -> Server:
    server = allowed(tx, rule, server_id, caller, kit)
    admit(wanted, server.id, server.vm_state, server.task_state, has_host=server.host is not None)
    return server


def _may_choose(tx: Tx, host: str | None, rule: str, server_id: str, caller: Who, kit: Kit) -> None:
    """Who may move a server may not yet say where to.  NotFound, Forbidden"""
    if host is not None:
        allowed(tx, rule, server_id, caller, kit)
        allowed(tx, f"{rule}:host", server_id, caller, kit)


def _must_be_another(tx: Tx, host: str | None, server: Server) -> None:
    if host is None:
        return
    if host == server.host:
        raise InvalidInput(f"Cannot move server {server.id} to the host that it is on.")
    if not _is_known(tx, host):
        raise InvalidInput(f"Compute host {host} could not be found.")


def _is_known(tx: Tx, host: str) -> bool:
    return host in {one.host for one in tx.services.listed(binary="nova-compute")}
