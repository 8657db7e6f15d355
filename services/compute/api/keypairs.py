"""Key pairs: a user's, not a project's."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from common.auth.callers import Caller as Who
from common.clock import utc_now
from common.http.identity import Caller
from common.http.json import Json
from common.http.operations import operation
from services.compute.api import links
from services.compute.api.asking import Body, Version, empty, router
from services.compute.api.kit import Kit, KitOf
from services.compute.api.queries import limit_of
from services.compute.api.schemas.keypairs import CreateKeypair, NewKeypair, must_be_key_name
from services.compute.api.schemas.parts import read
from services.compute.api.server_views import microseconds
from services.compute.api.versions import KEYPAIR
from services.compute.core.keypairs import fingerprint_of, generate_ssh, generate_x509

routes = router()
LINKED = 35


@routes.get("/os-keypairs")
@operation("os_compute_api:os-keypairs:index")
def list_keypairs(request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Each item is wrapped in itself.  A link to the next page came with 2.35; `openstack` asks for pages without it."""
    user_id = _user(request, caller, version)
    kit.must("os-keypairs:index", caller, {"user_id": user_id})
    limit, marker = limit_of(request.query_params, kit.settings.list_limit), request.query_params.get("marker")
    with kit.reading() as tx:
        rows = tx.keypairs.page(user_id=user_id, marker=marker, limit=limit)
    listed = [{"keypair": KEYPAIR.at(version, _listed(row))} for row in rows]
    more = None
    if version >= LINKED and rows and len(rows) == limit:
        more = links.next_page(kit.url, "/os-keypairs", request.query_params, rows[-1].name)
    return Json(links.paged("keypairs", listed, more))


@routes.post("/os-keypairs")
@operation("os_compute_api:os-keypairs:create", takes=CreateKeypair)
def create_keypair(body: Body, caller: Caller, kit: KitOf, version: Version) -> Response:
    """Import a public key, or (before 2.92) generate a pair: the private key is in this answer and nowhere else."""
    asked = read(CreateKeypair, body, version).keypair
    must_be_key_name(asked.name, version)
    user_id = asked.user_id or caller.user_id
    kit.must("os-keypairs:create", caller, {"user_id": user_id})
    made = _made(asked, user_id, kit)
    private_key = made.pop("private_key", None)
    with kit.transaction() as tx:
        tx.quotas.admit_keypair(project_id=str(caller.project_id), user_id=user_id)
        tx.keypairs.add(made)
    shown = {name: made[name] for name in ("name", "public_key", "fingerprint", "user_id")} | {"type": made["kind"]}
    if private_key is not None:
        shown["private_key"] = private_key
    return Json({"keypair": KEYPAIR.at(version, shown)}, 201 if version >= 2 else 200)


@routes.get("/os-keypairs/{name}")
@operation("os_compute_api:os-keypairs:show")
def show_keypair(name: str, request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    user_id = _user(request, caller, version)
    kit.must("os-keypairs:show", caller, {"user_id": user_id})
    with kit.reading() as tx:
        row = tx.keypairs.find(name, user_id=user_id)
    shown = _listed(row) | {
        "id": row.number,
        "user_id": row.user_id,
        "created_at": microseconds(row.created_at),
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
    return Json({"keypair": KEYPAIR.at(version, shown)})


@routes.delete("/os-keypairs/{name}")
@operation("os_compute_api:os-keypairs:delete")
def delete_keypair(name: str, request: Request, caller: Caller, kit: KitOf, version: Version) -> Response:
    user_id = _user(request, caller, version)
    kit.must("os-keypairs:delete", caller, {"user_id": user_id})
    with kit.transaction() as tx:
        tx.keypairs.remove(name, user_id=user_id)
    return empty(204 if version >= 2 else 202)


def _user(request: Request, caller: Who, version: int) -> str:
    """Whose keys: one's own, and since 2.10 anybody's for those who may."""
    asked = request.query_params.get("user_id") if version >= 10 else None
    return asked or caller.user_id


def _made(asked: NewKeypair, user_id: str, kit: Kit) -> dict[str, Any]:
    row: dict[str, Any] = {"user_id": user_id, "name": asked.name, "kind": asked.type, "created_at": utc_now()}
    if asked.public_key is not None:
        fingerprint = fingerprint_of(asked.public_key, asked.type)
        return row | {"public_key": asked.public_key.strip(), "fingerprint": fingerprint}
    if asked.type == "ssh":
        made = generate_ssh("generated-by-pileus", bits=kit.settings.key_bits)
    else:
        made = generate_x509(user_id, bits=kit.settings.key_bits, at=row["created_at"])
    return row | {"public_key": made.public, "fingerprint": made.fingerprint, "private_key": made.private}


def _listed(row: Any) -> dict[str, Any]:
    return {"name": row.name, "public_key": row.public_key, "fingerprint": row.fingerprint, "type": row.kind}
